package phone

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"estate/internal/problem"
	"estate/internal/synclink"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// Limits of one exchange.
const (
	// pushesMax keeps a request under the server's body limit.
	pushesMax = 4
	// roundsMax ends an exchange that never ends: far more than a first sync takes.
	roundsMax       = 10_000
	answerBytesMax  = 12 << 20
	problemBytesMax = 64 << 10
)

// Client is an Outbox with a way to servers and to a disk. It is safe for concurrent use.
type Client struct {
	// HTTP carries requests; Schema is the version of the table of kinds.
	HTTP   *http.Client
	Schema uint64
	Now    func() time.Time
	// Persist makes the outbox's bytes durable before a write or an answer counts.
	Persist func(saved []byte) error

	mu     sync.Mutex
	config Config
	outbox *Outbox
	saved  []byte
	codec  *synclink.Codec
	// nodes are the servers behind addresses, as their hellos said.
	nodes map[string]record.ID
}

// Exchanged says what an exchange did.
type Exchanged struct {
	Pushed int // transactions sent
	Pulled int // records received
	// Returned counts the records that were given back to a server which had lost them.
	Returned int
}

// NewClient opens a client over what was last persisted; nil for a fresh install.
func NewClient(c Config, saved []byte, now func() time.Time, persist func([]byte) error) (*Client, error) {
	outbox, err := New(c, saved)
	if err != nil {
		return nil, err
	}
	codec, err := synclink.NewCodec()
	if err != nil {
		return nil, err
	}
	return &Client{HTTP: http.DefaultClient, Now: now, Persist: persist, config: c, outbox: outbox, saved: saved, codec: codec, nodes: map[string]record.ID{}}, nil
}

// Look gives read access to the outbox.
func (c *Client) Look(look func(*Outbox)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	look(c.outbox)
}

// Write makes a transaction; it is durable when this returns nil. See Outbox.Write.
func (c *Client) Write(action string, changes ...Change) (record.Dot, error) {
	var dot record.Dot
	err := c.change(func() (err error) {
		dot, err = c.outbox.Write(c.now(), action, 0, changes...)
		return err
	})
	return dot, err
}

func (c *Client) now() int64 { return c.Now().UnixMilli() }

// change edits the outbox and makes it durable. What an edit did before it failed is true
// and stays; but what is not on disk did not happen, and the replica is fresh again: a
// number that may have reached the disk after all is never used twice.
func (c *Client) change(edit func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	editErr := edit()
	saved, err := c.outbox.Save()
	if err == nil {
		err = c.Persist(saved)
	}
	if err == nil {
		c.saved = saved
		return editErr
	}
	again, loadErr := New(c.config, c.saved)
	if loadErr == nil {
		c.outbox = again
	}
	return errors.Join(editErr, fmt.Errorf("keep the outbox: %w", err), loadErr)
}

// Exchange pushes what is unsettled to a server and pulls all that is new there. It may
// be interrupted at any point and repeated with any server. Errors are a *replica.Refusal
// from the protocol, a *problem.Problem from the server's API, or the network's.
func (c *Client) Exchange(ctx context.Context, baseURL, token string) (Exchanged, error) {
	baseURL = strings.TrimSuffix(baseURL, "/")
	var out Exchanged
	c.mu.Lock()
	c.outbox.Retry(c.nodes[baseURL])
	c.mu.Unlock()
	for range roundsMax {
		body, sent, err := c.compose(baseURL)
		if err != nil {
			return out, err
		}
		answer, err := c.post(ctx, baseURL, token, body)
		if err != nil {
			return out, err
		}
		again := false
		err = c.change(func() error {
			again, err = c.take(baseURL, answer, sent, &out)
			return err
		})
		if err != nil {
			return out, err
		}
		for _, p := range sent {
			out.Pushed += len(p.Transactions)
		}
		if !again && !c.unpushed(baseURL) {
			return out, nil
		}
	}
	return out, fmt.Errorf("phone: exchange with %s did not end in %d rounds", baseURL, roundsMax)
}

// unpushed reports whether a next round has transactions to bring.
func (c *Client) unpushed(server string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.outbox.Pushes(server, pushesMax) {
		if len(p.Transactions) > 0 {
			return true
		}
	}
	return false
}

func (c *Client) compose(server string) (body *bytes.Buffer, sent []wire.Push, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	messages := []wire.Message{c.outbox.Hello(c.now(), c.Schema)}
	sent = c.outbox.Pushes(server, pushesMax)
	for _, p := range sent {
		messages = append(messages, p)
	}
	if back, any := c.outbox.Returned(c.nodes[server]); any {
		messages = append(messages, back)
	}
	messages = append(messages, c.outbox.Pull(server))
	body = &bytes.Buffer{}
	for _, m := range messages {
		if err := c.codec.AppendFrame(body, m); err != nil {
			return nil, nil, err
		}
	}
	return body, sent, nil
}

// take works through an answer, which ends with the page that was asked for; one that
// ends before it was cut off on its way.
func (c *Client) take(server string, answer io.Reader, sent []wire.Push, out *Exchanged) (again bool, err error) {
	for whole := false; ; {
		m, _, err := c.codec.ReadFrame(answer)
		switch {
		case errors.Is(err, io.EOF) && !whole:
			return false, &replica.Refusal{Code: wire.CodeFrameMalformed, Detail: "the answer was cut off"}
		case errors.Is(err, io.EOF):
			return again, nil
		case errors.Is(err, wire.ErrUnknown):
			continue
		case err != nil:
			return false, err
		}
		switch m := m.(type) {
		case wire.Bye:
			if m.Code == wire.CodeChainFork {
				// Of a server that does not say which transactions it means.
				if left, err := c.outbox.abandon(c.now(), sent); left || err != nil {
					return true, err
				}
			}
			return false, &replica.Refusal{Code: m.Code, Detail: m.Detail}
		case wire.Hello:
			if m.Building != c.config.Building {
				return false, &replica.Refusal{Code: wire.CodeWrongBuilding, Detail: "the server answered for another building"}
			}
			c.nodes[server] = m.Node
			again = c.outbox.Met(server, m) || again
		case wire.Pushed:
			err = c.outbox.TakePushed(server, c.now(), m)
		case wire.Page:
			var more bool
			more, err = c.outbox.TakePage(server, c.now(), m)
			out.Pulled += len(m.Records)
			again, whole = again || more, true
			if _, any := c.outbox.Returned(c.nodes[server]); any {
				again = true
			}
		case wire.Taken:
			c.outbox.TakeTaken(c.nodes[server], m)
			for _, r := range m.Results {
				if r.Code == "" {
					out.Returned++
				}
			}
		}
		if err != nil {
			return false, err
		}
	}
}

func (c *Client) post(ctx context.Context, baseURL, token string, body io.Reader) (io.Reader, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, baseURL+synclink.PathExchange, body)
	if err != nil {
		return nil, fmt.Errorf("build exchange: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", synclink.ContentType)
	response, err := c.HTTP.Do(request)
	if err != nil {
		return nil, fmt.Errorf("exchange: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != synclink.ContentType {
		var said struct {
			Code problem.Code `json:"code"`
		}
		if text, err := io.ReadAll(io.LimitReader(response.Body, problemBytesMax)); err == nil && json.Unmarshal(text, &said) == nil && said.Code != "" {
			return nil, problem.New(said.Code, "")
		}
		return nil, fmt.Errorf("the server answered %s", response.Status)
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, answerBytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if len(answer) > answerBytesMax {
		return nil, &replica.Refusal{Code: wire.CodeFrameTooLarge, Detail: "the answer is beyond the limit"}
	}
	return bytes.NewReader(answer), nil
}
