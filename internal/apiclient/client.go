// Package apiclient speaks the public API of an edge or the cloud for the operator's
// program, benches and end-to-end tests.
//
// It must never know more than the API tells: no store, no key, no type of a server's
// inside.
package apiclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"estate/internal/problem"
)

const (
	// answerBytesMax bounds one JSON answer: a page of 200 long tickets is below 4 MiB.
	answerBytesMax = 16 << 20
	// requestTimeout bounds one JSON request. Streams have none but their context's.
	requestTimeout = 30 * time.Second
	// connectionsMax is kept open to one server: what an import works with at once.
	connectionsMax = 32
)

// Client is one person's (or nobody's) view of one server. It is safe for concurrent use
// once it is signed in.
type Client struct {
	base  *url.URL
	http  *http.Client
	token string
}

// New makes a client of the server at base, such as http://127.0.0.1:8080, that is not
// signed in.
func New(base string) (*Client, error) {
	at, err := url.Parse(strings.TrimSuffix(base, "/"))
	if err != nil || (at.Scheme != "http" && at.Scheme != "https") || at.Host == "" {
		return nil, fmt.Errorf("the address of a server is needed, such as http://127.0.0.1:8080, not %q", base)
	}
	return &Client{base: at, http: &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: connectionsMax, IdleConnTimeout: time.Minute}}}, nil
}

// With gives a client of the same server with a token that was issued elsewhere.
func (c *Client) With(token string) *Client {
	return &Client{base: c.base, http: c.http, token: token}
}

// From gives a client of the same server whose connections come from one address of this
// machine: a load of many people must not look as if all sat at one.
func (c *Client) From(address netip.Addr) *Client {
	dialer := net.Dialer{Timeout: requestTimeout, LocalAddr: &net.TCPAddr{IP: address.AsSlice()}}
	return &Client{base: c.base, token: c.token, http: &http.Client{Transport: &http.Transport{
		DialContext: dialer.DialContext, MaxIdleConnsPerHost: connectionsMax, IdleConnTimeout: time.Minute}}}
}

// Token is the access token, empty before SignIn. It is a secret.
func (c *Client) Token() string { return c.token }

// Base is the server's address.
func (c *Client) Base() string { return c.base.String() }

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Error is a server's refusal.
type Error struct {
	Status  int                  `json:"-"`
	Code    problem.Code         `json:"code"`
	Message string               `json:"message"`
	Remedy  string               `json:"remedy"`
	Fields  []problem.FieldError `json:"errors"`
	Wait    time.Duration        `json:"-"` // how long to wait before the next try, where the server said so
}

// Error says what a person needs to know.
func (e *Error) Error() string {
	text := e.Message
	if text == "" {
		text = http.StatusText(e.Status)
	}
	for _, f := range e.Fields {
		text += fmt.Sprintf("; %s: %s", f.Field, f.Message)
	}
	return fmt.Sprintf("%s (%d %s)", text, e.Status, e.Code)
}

// HasStatus reports whether an error is a server's refusal with this status.
func HasStatus(err error, status int) bool {
	var refused *Error
	return errors.As(err, &refused) && refused.Status == status
}

// HasCode reports whether an error is a server's refusal with this code.
func HasCode(err error, code problem.Code) bool {
	var refused *Error
	return errors.As(err, &refused) && refused.Code == code
}

// Get reads JSON into out, which may be a *json.RawMessage for the bytes as they came.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.Send(ctx, http.MethodGet, path, nil, nil, out)
}

// Post sends JSON and reads the answer into out; both may be nil.
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	return c.Send(ctx, http.MethodPost, path, nil, in, out)
}

// Send makes one JSON request. Answers other than 2xx are an *Error; everything else that
// goes wrong is a failure of the way there.
func (c *Client) Send(ctx context.Context, method, path string, header http.Header, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	answer, err := c.Do(ctx, method, path, header, in)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, answerBytesMax))
	if err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%s %s: understand the answer: %w", method, path, err)
	}
	return nil
}

// Do makes one request and gives the open answer of a success. in is sent as JSON, or as it
// is where it is an io.Reader.
func (c *Client) Do(ctx context.Context, method, path string, header http.Header, in any) (*http.Response, error) {
	var body io.Reader
	switch in := in.(type) {
	case nil:
	case io.Reader:
		body = in
	default:
		text, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("%s %s: write the request: %w", method, path, err)
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base.String()+path, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for name, values := range header {
		request.Header[name] = values
	}
	if c.token != "" && request.Header.Get("Authorization") == "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if answer.StatusCode/100 == 2 {
		return answer, nil
	}
	defer func() { _ = answer.Body.Close() }()
	return nil, refusal(answer)
}

func refusal(answer *http.Response) error {
	refused := &Error{Status: answer.StatusCode}
	if seconds, err := strconv.ParseUint(answer.Header.Get("Retry-After"), 10, 16); err == nil {
		refused.Wait = time.Duration(seconds) * time.Second
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, answerBytesMax))
	if err != nil || json.Unmarshal(text, refused) != nil {
		refused.Message = answer.Status // the status says enough
	}
	return refused
}
