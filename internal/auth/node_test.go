package auth_test

import (
	"crypto/rand"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"estate/internal/auth"
	"estate/internal/auth/authtest"
	"estate/internal/problem"
	"estate/sync/record"
)

func newNode(t *testing.T) auth.NodeKey {
	t.Helper()
	k, err := auth.LoadNodeKey(filepath.Join(t.TempDir(), "node.key"), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestNodeKeyFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "node.key")
	keys := make([]auth.NodeKey, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			var err error
			if keys[i], err = auth.LoadNodeKey(path, rand.Reader); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for _, k := range keys {
		if k.ID() != keys[0].ID() || !k.Public().Equal(keys[0].Public()) {
			t.Fatal("processes that start at once have different identities")
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("left behind beside the key: %v (%v)", entries, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v (%v)", info.Mode(), err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(b []byte, mode fs.FileMode) string {
		p := filepath.Join(t.TempDir(), "node.key")
		if err := os.WriteFile(p, b, mode); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for name, p := range map[string]string{
		"others may read": write(text, 0o640),
		"cut short":       write(text[:len(text)/2], 0o600),
		"empty":           write(nil, 0o600),
		"two keys":        write(append(slices.Clone(text), text...), 0o600),
		"huge":            write(append(slices.Clone(text), make([]byte, 5000)...), 0o600),
	} {
		before, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := auth.LoadNodeKey(p, rand.Reader); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if after, err := os.ReadFile(p); err != nil || !slices.Equal(before, after) {
			t.Errorf("%s: the file was replaced", name)
		}
	}
	if _, err := auth.LoadNodeKey(filepath.Join(dir, "missing", "node.key"), rand.Reader); err == nil {
		t.Error("a key was made that is stored nowhere")
	}
}

func TestTokenSignerOfNode(t *testing.T) {
	t.Parallel()
	k := newNode(t)
	a, errA := k.TokenSigner("edge:1")
	b, errB := k.TokenSigner("edge:1")
	if errA != nil || errB != nil || !a.Public().Equal(b.Public()) {
		t.Fatalf("the token key changes between starts (%v, %v)", errA, errB)
	}
	if a.Public().Equal(k.Public()) {
		t.Error("tokens are signed with the node's own key")
	}
}

// nodeServer is a server with one enrolled node.
func nodeServer(t *testing.T) (*auth.NodeSessions, *authtest.Clock, *authtest.Enrolments, auth.NodeKey) {
	t.Helper()
	clock, store, node := authtest.NewClock(), authtest.NewEnrolments(), newNode(t)
	enrol := auth.NewEnrolments(store, auth.IssuerCloud, clock.Now, rand.Reader)
	code, _, err := enrol.Create(t.Context(), record.DerivedID("b"), record.DerivedID("p"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := enrol.Redeem(t.Context(), node.EnrolRequest(code, auth.IssuerCloud)); err != nil {
		t.Fatal(err)
	}
	s, err := auth.NewNodeSessions(newSigner(t, auth.IssuerCloud), store, clock.Now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return s, clock, store, node
}

func TestNodeSession(t *testing.T) {
	t.Parallel()
	s, clock, store, node := nodeServer(t)
	nonce, err := s.Challenge()
	if err != nil {
		t.Fatal(err)
	}
	clock.Add(auth.NonceLife)
	token, err := s.Open(t.Context(), node.Answer(nonce, auth.IssuerCloud), node.Public())
	if err != nil {
		t.Fatal(err)
	}
	if id, err := s.Verify(t.Context(), token.Token); err != nil || id != node.ID() {
		t.Fatalf("node %v, %v", id, err)
	}
	// A person's token is no node's, and the other way round.
	people := setup(t)
	_, err = s.Verify(t.Context(), people.mustSignIn(t).Access)
	wantCode(t, err, problem.TokenInvalid)
	_, err = people.ring.Verify(token.Token, clock.Now())
	wantCode(t, err, problem.TokenInvalid)

	store.Revoke(node.ID())
	_, err = s.Verify(t.Context(), token.Token)
	wantCode(t, err, problem.NodeRevoked)
	_, err = s.Open(t.Context(), node.Answer(nonce, auth.IssuerCloud), node.Public())
	wantCode(t, err, problem.NodeRevoked)
	clock.Add(2 * time.Hour)
	_, err = s.Verify(t.Context(), token.Token)
	wantCode(t, err, problem.TokenExpired)
}

func TestNodeSessionRefused(t *testing.T) {
	t.Parallel()
	s, clock, _, node := nodeServer(t)
	other, _, _, _ := nodeServer(t)
	stranger := newNode(t)
	fresh := func(from *auth.NodeSessions) string {
		nonce, err := from.Challenge()
		if err != nil {
			t.Fatal(err)
		}
		return nonce
	}
	old := fresh(s)
	clock.Add(auth.NonceLife + time.Millisecond)
	now := fresh(s)
	ahead := func() string {
		clock.Add(time.Minute)
		defer clock.Add(-time.Minute)
		return fresh(s)
	}()
	impostor := stranger.Answer(now, auth.IssuerCloud)
	impostor.Node = node.ID()
	cut := node.Answer(now, auth.IssuerCloud)
	cut.Signature = cut.Signature[:10]
	for name, c := range map[string]struct {
		proof auth.NodeProof
		want  problem.Code
	}{
		"OldNonce":       {node.Answer(old, auth.IssuerCloud), problem.NonceExpired},
		"NonceAhead":     {node.Answer(ahead, auth.IssuerCloud), problem.NonceExpired},
		"OtherServer":    {node.Answer(fresh(other), auth.IssuerCloud), problem.NonceExpired},
		"NoNonce":        {node.Answer("", auth.IssuerCloud), problem.NonceExpired},
		"NonceNotBase64": {node.Answer(now[:len(now)-1]+"!", auth.IssuerCloud), problem.NonceExpired},
		"ForgedNonce":    {node.Answer(base64.RawURLEncoding.EncodeToString(make([]byte, 56)), auth.IssuerCloud), problem.NonceExpired},
		"PassedOn":       {node.Answer(now, "edge:evil"), problem.NodeProofInvalid},
		"Impostor":       {impostor, problem.NodeProofInvalid},
		"CutSignature":   {cut, problem.NodeProofInvalid},
		"NoProof":        {auth.NodeProof{Nonce: now}, problem.NodeProofInvalid},
	} {
		_, err := s.Open(t.Context(), c.proof, node.Public())
		if !problem.HasCode(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	_, err := s.Open(t.Context(), node.Answer(now, auth.IssuerCloud), nil)
	wantCode(t, err, problem.NodeProofInvalid)
	_, err = s.Open(t.Context(), stranger.Answer(now, auth.IssuerCloud), stranger.Public())
	wantCode(t, err, problem.NodeUnknown)
}
