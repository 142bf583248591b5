package auth_test

import (
	"bytes"
	"crypto/rand"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"estate/internal/auth"
	"estate/internal/auth/authtest"
	"estate/internal/problem"
	"estate/sync/record"
)

func TestEnrolCodeSpellings(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^([0-9A-HJKMNP-TV-Z]{5}-){4}[0-9A-HJKMNP-TV-Z]$`)
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.SliceOfN(rapid.Byte(), 20*64, 20*64).Draw(rt, "random")
		code, err := auth.NewEnrolCode(bytes.NewReader(seed))
		if err != nil {
			return // one repeated draw whose check character is never plain
		}
		text := code.Reveal()
		if !form.MatchString(text) {
			rt.Fatalf("%q is not of the form", text)
		}
		typed := strings.NewReplacer("0", rapid.SampledFrom([]string{"0", "O", "o"}).Draw(rt, "zero"),
			"1", rapid.SampledFrom([]string{"1", "I", "l", "i", "L"}).Draw(rt, "one"),
			"-", rapid.SampledFrom([]string{"", "-", " ", " - ", "\u2013"}).Draw(rt, "dash")).Replace(text)
		if rapid.Bool().Draw(rt, "lower") {
			typed = strings.ToLower(typed)
		}
		got, err := auth.ParseEnrolCode(" " + typed + "\n")
		if err != nil || got.Reveal() != text || got.Hash() != code.Hash() {
			rt.Fatalf("%q was read as %q (%v), not %q", typed, got.Reveal(), err, text)
		}
		plain := []byte(strings.ReplaceAll(text, "-", ""))
		at := rapid.IntRange(0, len(plain)-1).Draw(rt, "at")
		wrong := bytes.Clone(plain)
		wrong[at] = rapid.SampledFrom([]byte("0123456789ABCDEFGHJKMNPQRSTVWXYZ")).Draw(rt, "wrong")
		if _, err := auth.ParseEnrolCode(string(wrong)); err == nil && !bytes.Equal(wrong, plain) {
			rt.Fatalf("%s passes for %s", wrong, plain)
		}
		at = rapid.IntRange(0, len(plain)-3).Draw(rt, "swap")
		swapped := bytes.Clone(plain)
		swapped[at], swapped[at+1] = swapped[at+1], swapped[at]
		if _, err := auth.ParseEnrolCode(string(swapped)); err == nil && !bytes.Equal(swapped, plain) {
			rt.Fatalf("%s passes for %s", swapped, plain)
		}
	})
}

func TestEnrolCodeBrokenRandom(t *testing.T) {
	t.Parallel()
	if _, err := auth.NewEnrolCode(bytes.NewReader(nil)); err == nil {
		t.Error("a code was made without random bytes")
	}
	if got := auth.CodeCheck("00000000000000000010"); got != 32 {
		t.Errorf("check of 32 is %d", got)
	}
}

func FuzzParseEnrolCode(f *testing.F) {
	f.Add("00000-00000-00000-00000-0")
	f.Add("ooooo ooooo ooooo ooooo o")
	f.Add("\u2010")
	f.Fuzz(func(t *testing.T, text string) {
		code, err := auth.ParseEnrolCode(text)
		if err != nil {
			if problem.From(err).Code != problem.EnrolCodeInvalid {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, err := auth.ParseEnrolCode(code.Reveal())
		if err != nil || again.Hash() != code.Hash() {
			t.Fatalf("%q was read as %q, which is %v", text, code.Reveal(), err)
		}
	})
}

func TestRedeem(t *testing.T) {
	t.Parallel()
	clock, store := authtest.NewClock(), authtest.NewEnrolments()
	enrol := auth.NewEnrolments(store, auth.IssuerCloud, clock.Now, rand.Reader)
	building := record.DerivedID("b")
	create := func() auth.EnrolCode {
		code, row, err := enrol.Create(t.Context(), building, record.DerivedID("p"))
		if err != nil || row.Building != building {
			t.Fatalf("%+v, %v", row, err)
		}
		return code
	}
	node, other := newNode(t), newNode(t)
	code := create()

	stolen := node.EnrolRequest(code, auth.IssuerCloud)
	stolen.Public = other.Public()
	_, err := enrol.Redeem(t.Context(), stolen)
	wantCode(t, err, problem.NodeProofInvalid)
	_, err = enrol.Redeem(t.Context(), node.EnrolRequest(code, "edge:evil"))
	wantCode(t, err, problem.NodeProofInvalid)
	// A box cannot take the id of another: it is its key's.
	_, err = enrol.Redeem(t.Context(), node.EnrolAs(code, auth.IssuerCloud, other.ID()))
	wantCode(t, err, problem.NodeProofInvalid)

	for range 2 { // the second time for a lost answer
		row, err := enrol.Redeem(t.Context(), node.EnrolRequest(code, auth.IssuerCloud))
		if err != nil || row.UsedBy != node.ID() || row.Building != building {
			t.Fatalf("%+v, %v", row, err)
		}
	}
	_, err = enrol.Redeem(t.Context(), other.EnrolRequest(code, auth.IssuerCloud))
	wantCode(t, err, problem.EnrolCodeUsed)
	_, err = enrol.Redeem(t.Context(), node.EnrolRequest(create(), auth.IssuerCloud))
	wantCode(t, err, problem.Conflict)

	late := create()
	clock.Add(auth.EnrolCodeLife)
	_, err = enrol.Redeem(t.Context(), other.EnrolRequest(late, auth.IssuerCloud))
	wantCode(t, err, problem.EnrolCodeExpired)

	unknown, err := auth.NewEnrolCode(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, err = enrol.Redeem(t.Context(), other.EnrolRequest(unknown, auth.IssuerCloud))
	wantCode(t, err, problem.EnrolCodeInvalid)
	_, err = enrol.Redeem(t.Context(), auth.EnrolRequest{Code: auth.NewSecret("no code")})
	wantCode(t, err, problem.EnrolCodeInvalid)
	_, _, err = enrol.Create(t.Context(), record.ID{}, record.DerivedID("p"))
	wantCode(t, err, problem.InvalidInput)
}

func TestRedeemRace(t *testing.T) {
	t.Parallel()
	clock, store := authtest.NewClock(), authtest.NewEnrolments()
	enrol := auth.NewEnrolments(store, auth.IssuerCloud, clock.Now, rand.Reader)
	code, _, err := enrol.Create(t.Context(), record.DerivedID("b"), record.DerivedID("p"))
	if err != nil {
		t.Fatal(err)
	}
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		req := newNode(t).EnrolRequest(code, auth.IssuerCloud)
		wg.Go(func() {
			_, err := enrol.Redeem(t.Context(), req)
			if err == nil {
				won.Add(1)
			} else if !problem.HasCode(err, problem.EnrolCodeUsed) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d nodes enrolled with one code", won.Load())
	}
}
