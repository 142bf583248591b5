package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestRefused: what is wrong with the start is said, with its code where it has one.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args, environ []string
		want          string
	}{
		"NoDatabase":   {want: "database_url"},
		"Word":         {args: []string{"now"}, want: "unexpected argument"},
		"BadSetting":   {environ: []string{"ESTATE_CLOUD_SPEED=9"}, want: "ESTATE_CLOUD_SPEED"},
		"ClockOutside": {environ: []string{"ESTATE_CLOCK_FILE=x"}, want: "clock_file_refused"},
	} {
		var out bytes.Buffer
		if err := run(t.Context(), test.args, test.environ, &out); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
