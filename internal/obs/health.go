package obs

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// readyTimeout bounds the check: a probe that hangs says no.
const readyTimeout = 3 * time.Second

// Alive answers that the process runs. It looks at nothing: a restart cures only a process
// that cannot answer at all.
func Alive() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		say(w, http.StatusOK, `{"status":"alive"}`)
	})
}

// Ready answers whether the program can serve now. What is wrong goes to the log and not
// to the caller, who need not have signed in.
func Ready(check func(context.Context) error, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if check != nil {
			if err := check(ctx); err != nil {
				log.WarnContext(ctx, "not ready", Error(err))
				say(w, http.StatusServiceUnavailable, `{"status":"unavailable"}`)
				return
			}
		}
		say(w, http.StatusOK, `{"status":"ready"}`)
	})
}

func say(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body + "\n")) // a prober that left needs no answer
}
