package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"estate/edge/internal/cloudlink"
	"estate/edge/internal/local"
	"estate/internal/auth"
	"estate/internal/obs"
	"estate/internal/problem"
)

// Commands on the box reach the running edge through a socket in its data folder. Who may
// open the folder may do what the folder's files allow anyway, so it asks for no sign-in.

const (
	adminBytesMax = 64 << 10
	// adminAnswerMax holds a thousand logins with their rights.
	adminAnswerMax = 1 << 20
	// adminWait covers an enrolment over a slow line.
	adminWait = time.Minute
	// socketPathMax is what the kernel takes for a socket's path.
	socketPathMax = 100
	pathEnrol     = "/enrol"
	pathLogins    = "/logins"
	pathLoginGone = "/logins/remove"
	pathExternal  = "/logins/external"
	pathLoginList = "/logins/list"
)

// listenAdmin opens the socket. The store's lock is held, so a socket that is there is a
// leftover.
func listenAdmin(ctx context.Context, path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	short, done, err := shortPath(path)
	if err != nil {
		return nil, err
	}
	defer done()
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "unix", short)
	if err != nil {
		return nil, err
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(short == path)
	}
	return l, os.Chmod(path, 0o600)
}

// shortPath names a file by its folder's descriptor where its own path is too long for a
// socket.
func shortPath(path string) (short string, done func(), err error) {
	if len(path) <= socketPathMax {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + filepath.Base(path), func() { _ = dir.Close() }, nil
}

// EnrolInput is an enrolment: the one-time code and the cloud's address.
type EnrolInput struct {
	Code  string `json:"code"`
	Cloud string `json:"cloud"`
}

// EnrolResult says where the box belongs now.
type EnrolResult struct {
	Node     string `json:"node"`
	Building string `json:"building"`
}

func (e *Edge) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+pathEnrol, func(w http.ResponseWriter, r *http.Request) { answer(w, r, e.log, e.Enrol) })
	mux.HandleFunc("POST "+pathLoginGone, func(w http.ResponseWriter, r *http.Request) { answer(w, r, e.log, e.RemoveLogin) })
	mux.HandleFunc("POST "+pathLoginList, func(w http.ResponseWriter, r *http.Request) { answer(w, r, e.log, e.ListLogins) })
	mux.HandleFunc("POST "+pathExternal, func(w http.ResponseWriter, r *http.Request) { answer(w, r, e.log, e.ExternalLogins) })
	mux.HandleFunc("POST "+pathLogins, func(w http.ResponseWriter, r *http.Request) { answer(w, r, e.log, e.AddLogin) })
	return mux
}

func answer[In, Out any](w http.ResponseWriter, r *http.Request, log *slog.Logger, do func(context.Context, In) (Out, error)) {
	var in In
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, adminBytesMax))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		auth.Refuse(w, r, problem.Wrap(problem.InvalidInput, err, "the body is not what was expected"), log)
		return
	}
	out, err := do(r.Context(), in)
	if err != nil {
		auth.Refuse(w, r, spelled(err), log)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out) // a caller that left can ask again
}

// spelled puts what is wrong with each field into the one sentence that a command line shows.
func spelled(err error) error {
	var p *problem.Problem
	if !errors.As(err, &p) || len(p.Fields) == 0 {
		return err
	}
	var said []string
	if p.Detail != "" {
		said = append(said, p.Detail)
	}
	for _, f := range p.Fields {
		said = append(said, "--"+f.Field+" "+f.Message)
	}
	return problem.Wrap(p.Code, err, "%s", strings.Join(said, "; "))
}

// Enrol redeems a code at the cloud and makes this box the building's. Repeating it is
// harmless.
func (e *Edge) Enrol(ctx context.Context, in EnrolInput) (EnrolResult, error) {
	e.enrol.Lock()
	defer e.enrol.Unlock()
	base, err := cloudlink.CleanURL(in.Cloud)
	if err != nil {
		return EnrolResult{}, err
	}
	code, err := auth.ParseEnrolCode(in.Code)
	if err != nil {
		return EnrolResult{}, err
	}
	got, err := cloudlink.Enrol(ctx, http.DefaultClient, base, e.key, code, e.now)
	if err != nil {
		return EnrolResult{}, err
	}
	err = e.local.Enrol(ctx, local.Enrolment{Node: e.key.ID(), Building: got.Building, CloudURL: base, Server: got.Server,
		CloudKey: got.CloudKey, TokenKeys: got.TokenKeys, At: e.now()})
	if errors.Is(err, local.ErrEnrolled) {
		return EnrolResult{}, problem.Wrap(problem.Conflict, err, "this box belongs to another building or cloud already; begin with an empty data folder")
	}
	if err != nil {
		return EnrolResult{}, err
	}
	e.log.InfoContext(ctx, "enrolled", obs.Building(got.Building), obs.Node(e.key.ID()), slog.Duration("cloud_clock_ahead", got.Ahead))
	select {
	case <-e.enrolled:
	default:
		close(e.enrolled)
	}
	return EnrolResult{Node: e.key.ID().String(), Building: got.Building.String()}, nil
}

// EnrolAt enrols the box whose data folder this is, whether it runs or not.
func EnrolAt(ctx context.Context, cfg Config, now func() time.Time, in EnrolInput) (EnrolResult, error) {
	return command(ctx, cfg, now, pathEnrol, in, (*Edge).Enrol)
}

// AddLoginAt makes a login at the box whose data folder this is, whether it runs or not.
func AddLoginAt(ctx context.Context, cfg Config, now func() time.Time, in LoginInput) (LoginResult, error) {
	return command(ctx, cfg, now, pathLogins, in, (*Edge).AddLogin)
}

// RemoveLoginAt takes a login away at the box whose data folder this is, whether it runs or
// not.
func RemoveLoginAt(ctx context.Context, cfg Config, now func() time.Time, in LoginName) (LoginName, error) {
	return command(ctx, cfg, now, pathLoginGone, in, (*Edge).RemoveLogin)
}

// ListLoginsAt lists the logins of the box whose data folder this is, whether it runs or not.
func ListLoginsAt(ctx context.Context, cfg Config, now func() time.Time) ([]LoginEntry, error) {
	return command(ctx, cfg, now, pathLoginList, struct{}{}, (*Edge).ListLogins)
}

// command does something to a box: by itself where it can open the data, else through the
// process that has it open.
func command[In, Out any](ctx context.Context, cfg Config, now func() time.Time, path string, in In, do func(*Edge, context.Context, In) (Out, error)) (Out, error) {
	var out Out
	cfg.Listen = "127.0.0.1:0" // it serves nobody
	e, err := New(ctx, cfg, now)
	if err == nil {
		out, err = do(e, ctx, in)
		return out, errors.Join(spelled(err), e.Close())
	}
	if !errors.Is(err, ErrRunning) {
		return out, err
	}
	return callAdmin[In, Out](ctx, filepath.Join(cfg.WithDefaults().Data, fileAdmin), path, in)
}

func callAdmin[In, Out any](ctx context.Context, socket, path string, in In) (Out, error) {
	var out Out
	ctx, cancel := context.WithTimeout(ctx, adminWait)
	defer cancel()
	body, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://edge"+path, bytes.NewReader(body))
	if err != nil {
		return out, err
	}
	short, done, err := shortPath(socket)
	if err != nil {
		return out, err
	}
	defer done()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", short)
	}}
	response, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return out, fmt.Errorf("speak to the running edge: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // what counts was read
	text, err := io.ReadAll(io.LimitReader(response.Body, adminAnswerMax))
	if err != nil {
		return out, fmt.Errorf("speak to the running edge: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		var said struct {
			Message string `json:"message"`
			Remedy  string `json:"remedy"`
		}
		if json.Unmarshal(text, &said) != nil || said.Message == "" {
			return out, fmt.Errorf("the running edge answered %s", response.Status)
		}
		return out, fmt.Errorf("%s. %s", said.Message, said.Remedy)
	}
	return out, json.Unmarshal(text, &out)
}
