package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"estate/internal/apiclient"
	"estate/internal/auth"
	"estate/internal/lab/labtest"
	"estate/internal/lab/stack"
	"estate/internal/problem"
)

// enrol runs the edge's own enrolment in a fresh folder.
func enrol(t *testing.T, cloud *stack.Cloud, code string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, labtest.Binaries(t).Edge, "enrol", "--data", t.TempDir(), "--cloud", cloud.Base(), "--code", code)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}

// TestEnrolment: a code lets one box in, once.
func TestEnrolment(t *testing.T) {
	t.Parallel()
	w, cloud := begin(t, oak(), false)
	output, err := run(t, w.credentials(cloud.Base(), "manager"), "enrol", "--building", "OAK")
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	code, _, _ := strings.Cut(output, "\n")
	if err := enrol(t, cloud, code); err != nil {
		t.Fatal(err)
	}
	if err := enrol(t, cloud, code); err == nil || !strings.Contains(err.Error(), "code") {
		t.Errorf("a used code let a second box in: %v", err)
	}
	if err := enrol(t, cloud, "ABCDE-FGHJK-MNPQR-STVWX-Y"); err == nil {
		t.Error("a made-up code let a box in")
	}
	if _, err := run(t, w.credentials(cloud.Base(), "technician"), "enrol", "--building", "OAK"); err == nil {
		t.Error("a technician got a code")
	}
}

// TestForgedEdge: who has no enrolled key gets no session, and without one nothing.
func TestForgedEdge(t *testing.T) {
	t.Parallel()
	w, cloud := begin(t, oak(), false)
	e := w.edge(cloud, "OAK")
	manager := w.as(cloud.Base(), "manager")
	stranger, err := apiclient.New(cloud.Base())
	if err != nil {
		t.Fatal(err)
	}
	key, err := auth.LoadNodeKey(filepath.Join(t.TempDir(), "key"), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	enrolled, err := manager.Edges(t.Context(), e.Place.ID)
	if err != nil || len(enrolled) != 1 {
		t.Fatalf("%+v, %v", enrolled, err)
	}
	for name, node := range map[string]any{"UnknownKey": key.ID(), "AnotherKey": enrolled[0].ID} {
		var challenge struct{ Nonce, Server string }
		if err := stranger.Post(t.Context(), "/sync/challenge", struct{}{}, &challenge); err != nil {
			t.Fatal(err)
		}
		proof := key.Answer(challenge.Nonce, challenge.Server)
		err := stranger.Post(t.Context(), "/sync/session", map[string]any{"node": node, "nonce": proof.Nonce, "signature": proof.Signature}, nil)
		if !apiclient.HasStatus(err, http.StatusUnauthorized) && !apiclient.HasStatus(err, http.StatusForbidden) && !apiclient.HasStatus(err, http.StatusNotFound) {
			t.Errorf("%s: got a session or no refusal: %v", name, err)
		}
	}
	for _, token := range []string{"", "made-up", manager.Token()[:len(manager.Token())-4] + "AAAA"} {
		for _, path := range []string{"/sync/exchange", "/sync/ws", "/sync/media/"} {
			header := http.Header{"Tus-Resumable": {"1.0.0"}, "Upload-Length": {"5"},
				"Upload-Metadata": {"building " + base64.StdEncoding.EncodeToString([]byte(e.Place.ID.String()))}}
			_, err := stranger.With(token).Do(t.Context(), http.MethodPost, path, header, bytes.NewReader([]byte("frame")))
			if !apiclient.HasStatus(err, http.StatusUnauthorized) {
				t.Errorf("POST %s with a forged token: %v", path, err)
			}
		}
	}
}

// TestRevokedEdge: a revoked edge gets nothing more and brings nothing more, restarts
// included, and says why.
func TestRevokedEdge(t *testing.T) {
	t.Parallel()
	w, cloud := begin(t, oak(), false)
	e := w.edge(cloud, "OAK")
	atCloud, atEdge := w.as(cloud.Base(), "manager"), w.as(e.Base(), "manager")
	write := func(client *apiclient.Client, title string) {
		t.Helper()
		if _, err := client.CreateTicket(t.Context(), e.Place.ID, "", apiclient.NewTicket{Title: title}); err != nil {
			t.Fatal(err)
		}
	}
	write(atCloud, "before")
	converged(t, atCloud, atEdge, e.Place.ID)
	edges, err := atCloud.Edges(t.Context(), e.Place.ID)
	if err != nil || len(edges) != 1 {
		t.Fatalf("%+v, %v", edges, err)
	}
	if err := atCloud.RevokeEdge(t.Context(), edges[0].ID); err != nil {
		t.Fatal(err)
	}
	write(atCloud, "after, at the cloud")
	write(atEdge, "after, at the edge")
	for range 2 {
		until(t, "the edge to say that it is revoked", every, func() error {
			state, err := atEdge.SyncState(t.Context(), e.Place.ID)
			if err != nil {
				return err
			}
			if state.Link == nil || state.Link.State == "synced" || state.Link.Code != string(problem.NodeRevoked) {
				return fmt.Errorf("the link is %+v", state.Link)
			}
			return nil
		})
		for where, client := range map[string]*apiclient.Client{"cloud": atCloud, "edge": atEdge} {
			held, err := tickets(t.Context(), client, e.Place.ID)
			if err != nil || len(held) != 2 {
				t.Errorf("%s: %d tickets, %v", where, len(held), err)
			}
		}
		if err := e.Kill9(); err != nil {
			t.Fatal(err)
		}
		if err := e.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
