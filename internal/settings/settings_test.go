package settings_test

import (
	"os"
	"path/filepath"
	"testing"

	"estate/internal/settings"
)

type config struct {
	Listen string `env:"LISTEN" json:"listen"`
	Max    int    `env:"MAX" json:"max"`
	Hidden string `env:"-" json:"-"`
}

func TestLoad(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		file string
		env  map[string]string
		want config
		fail bool
	}{
		"file alone":            {file: `{"listen":"a","max":2}`, want: config{Listen: "a", Max: 2}},
		"environment over file": {file: `{"listen":"a","max":2}`, env: map[string]string{"X_LISTEN": "b"}, want: config{Listen: "b", Max: 2}},
		"other programs' names": {env: map[string]string{"PATH": "p", "X_MAX": "3"}, want: config{Max: 3}},
		"misspelt key":          {file: `{"lisen":"a"}`, fail: true},
		"misspelt variable":     {env: map[string]string{"X_LISEN": "a"}, fail: true},
		"wrong type":            {env: map[string]string{"X_MAX": "many"}, fail: true},
		"two values":            {file: `{"listen":"a"} {}`, fail: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := ""
			if c.file != "" {
				path = filepath.Join(t.TempDir(), "config.json")
				if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var got config
			err := settings.Load(&got, path, "X_", c.env)
			if (err != nil) != c.fail {
				t.Fatalf("error %v, want failure %t", err, c.fail)
			}
			if err == nil && got != c.want {
				t.Fatalf("got %+v, want %+v", got, c.want)
			}
		})
	}
}
