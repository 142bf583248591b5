package auth_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"estate/internal/auth"
	"estate/internal/problem"
)

func newPasswords(t testing.TB, atOnce int, derive auth.Derive) *auth.Passwords {
	t.Helper()
	p, err := auth.NewPasswords(atOnce, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p.SetDerive(derive)
	return p
}

func TestPasswordWithArgon2id(t *testing.T) {
	t.Parallel()
	p := newPasswords(t, 1, auth.Argon2id())
	// "é" in one code point here and in two below: one person on two keyboards.
	hash, err := p.Hash(t.Context(), auth.NewSecret("caf\u00e9 au lait"), goodEmail)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash %q is not in PHC form with our parameters", hash)
	}
	for text, want := range map[string]bool{"cafe\u0301 au lait": true, "caf\u00e9 au lai": false, "": false} {
		if got, err := p.Check(t.Context(), auth.NewSecret(text), hash); err != nil || got != want {
			t.Errorf("Check(%q) = %v, %v", text, got, err)
		}
	}
	// A vector of the reference implementation (phc-winner-argon2, argon2id, m=65536, t=2, p=1).
	const reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if got, err := p.Check(t.Context(), auth.NewSecret("password"), reference); err != nil || !got {
		t.Errorf("the reference hash does not match: %v, %v", got, err)
	}
}

func TestPasswordPolicy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		password string
		good     bool
	}{
		"Ten":               {"abcdefghij", true},
		"Nine":              {"abcdefghi", false},
		"NineOfTwoBytes":    {"ééééééééé", false},
		"TenOfTwoBytes":     {"éééééééééé", true},
		"NineAsEighteen":    {strings.Repeat("e\u0301", 9), false},
		"Longest":           {strings.Repeat("a", 200), true},
		"TooLong":           {strings.Repeat("a", 201), false},
		"GrowsInNFC":        {strings.Repeat("\U0001d15e", 50), false},
		"OwnEmail":          {"ada@example.org", false},
		"OwnEmailOtherCase": {"  ADA@Example.ORG!", false},
		"OtherEmail":        {"bob@example.org", true},
		"Spaces":            {strings.Repeat(" ", 12), false},
		"NotUTF8":           {"abcdefghij\xff", false},
	} {
		err := auth.CheckPolicy(auth.NewSecret(c.password), " Ada@Example.org")
		if c.good && err != nil || !c.good && !problem.HasCode(err, problem.PasswordTooWeak) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPasswordProperty(t *testing.T) {
	t.Parallel()
	p := newPasswords(t, 2, quick)
	rapid.Check(t, func(rt *rapid.T) {
		a := rapid.StringN(10, 40, 120).Draw(rt, "password")
		b := rapid.StringN(10, 40, 120).Draw(rt, "other")
		if auth.CheckPolicy(auth.NewSecret(a), goodEmail) != nil {
			return
		}
		hash, err := p.Hash(context.Background(), auth.NewSecret(a), goodEmail)
		if err != nil {
			rt.Fatal(err)
		}
		again, err := p.Hash(context.Background(), auth.NewSecret(a), goodEmail)
		if err != nil || again == hash {
			rt.Fatalf("two hashes of one password are equal (%v)", err)
		}
		if ok, err := p.Check(context.Background(), auth.NewSecret(a), hash); !ok || err != nil {
			rt.Fatalf("the password does not match its own hash (%v)", err)
		}
		if ok, _ := p.Check(context.Background(), auth.NewSecret(b+"x"), hash); ok && a != b+"x" {
			rt.Fatalf("%q matches the hash of %q", b+"x", a)
		}
	})
}

func TestPasswordSlotsBounded(t *testing.T) {
	t.Parallel()
	const atOnce, callers = 2, 200
	var running, most atomic.Int32
	release := make(chan struct{})
	p := newPasswords(t, atOnce, func(_, _ []byte, _, _ uint32, _ uint8, keyLen uint32) []byte {
		n := running.Add(1)
		defer running.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-release
		return make([]byte, keyLen)
	})
	var refused, done atomic.Int32
	var wg sync.WaitGroup
	full := make(chan struct{})
	ctx := context.WithoutCancel(t.Context())
	for range callers {
		wg.Go(func() {
			_, err := p.Check(ctx, auth.NewSecret("x"), "")
			switch {
			case problem.HasCode(err, problem.Unavailable):
				if refused.Add(1) == callers-atOnce-64 {
					close(full)
				}
			case err != nil:
				t.Errorf("Check: %v", err)
			default:
				done.Add(1)
			}
		})
	}
	<-full // two run, 64 wait, all others were refused at once
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := p.Check(cancelled, auth.NewSecret("x"), ""); err == nil {
		t.Error("a check ran beyond the bound")
	}
	close(release)
	wg.Wait()
	if most.Load() != atOnce || done.Load() != atOnce+64 {
		t.Errorf("%d ran at once and %d in all, want %d and %d", most.Load(), done.Load(), atOnce, atOnce+64)
	}
	if _, err := p.Check(cancelled, auth.NewSecret("x"), ""); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("slots are not free again: %v", err)
	}
}

func TestHostileHash(t *testing.T) {
	t.Parallel()
	good := "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if again, _, _, err := auth.PHCRoundTrip(good); err != nil || again != good {
		t.Fatalf("%q, %v", again, err)
	}
	for name, change := range map[string][2]string{
		"Memory":        {"m=19456", "m=4194304"},
		"MemoryWraps":   {"m=19456", "m=4294967297"},
		"MemoryNone":    {"m=19456", "m=0"},
		"Time":          {"t=2", "t=1000000"},
		"TimeNone":      {"t=2", "t=0"},
		"Threads":       {"p=1", "p=255"},
		"ThreadsWrap":   {"p=1", "p=257"},
		"LeadingZero":   {"t=2", "t=02"},
		"Sign":          {"t=2", "t=+2"},
		"OtherSort":     {"argon2id", "argon2i"},
		"OtherVersion":  {"v=19", "v=16"},
		"ShortSalt":     {"c29tZXNhbHQ", "c29t"},
		"LongSalt":      {"c29tZXNhbHQ", strings.Repeat("c29t", 30)},
		"EmptyKey":      {"CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", ""},
		"NewlineInSalt": {"c29tZXNhbHQ", "c29t\nZXNhbHQ"},
		"Extra":         {"p=1", "p=1,x=1"},
	} {
		if again, _, _, err := auth.PHCRoundTrip(strings.Replace(good, change[0], change[1], 1)); err == nil {
			t.Errorf("%s was read as %q", name, again)
		}
	}
	if _, _, _, err := auth.PHCRoundTrip(auth.MaxHash()); err != nil {
		t.Errorf("the largest hash within the bounds is refused: %v", err)
	}
}

func FuzzPHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$v=19$m=4294967295,t=1,p=1$AAAAAAAAAAA$AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		again, memory, time, err := auth.PHCRoundTrip(text)
		if err != nil {
			return
		}
		if again != text || memory > 64*1024 || time > 6 {
			t.Fatalf("%q was read as %q", text, again)
		}
	})
}

func TestNormaliseEmail(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		" Ada@Example.ORG\n":              "ada@example.org",
		"Jose\u0301@example.org":          "jos\u00e9@example.org",
		"ada":                             "",
		"@example.org":                    "",
		"ada@":                            "",
		"a@b@c":                           "",
		"a b@example.org":                 "",
		"a\u200b@example.org":             "",
		"a\x00@example.org":               "",
		"\xff@example.org":                "",
		strings.Repeat("a", 250) + "@b.c": strings.Repeat("a", 250) + "@b.c",
		strings.Repeat("a", 251) + "@b.c": "",
		strings.Repeat(" ", 100000) + "ada@example.org": "",
	} {
		got, err := auth.NormaliseEmail(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("NormaliseEmail(%.40q) = %q, %v", in, got, err)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		once, err := auth.NormaliseEmail(rapid.String().Draw(rt, "local") + "@" + rapid.String().Draw(rt, "domain"))
		if err != nil {
			return
		}
		if twice, err := auth.NormaliseEmail(once); err != nil || twice != once || len(once) > auth.EmailBytesMax {
			rt.Fatalf("%q becomes %q (%v)", once, twice, err)
		}
	})
}
