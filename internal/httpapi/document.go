package httpapi

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"estate/internal/auth"
	"estate/internal/desk"
	"estate/schema"
	"estate/sync/replica"
)

// documentVersion stands in the committed document, which outlives versions.
const documentVersion = "1"

// Document is the OpenAPI document of the cloud and of edges, with the operations of both, as
// it is committed. It comes from the same registrations that serve requests.
func Document() ([]byte, error) {
	a := newAPI(Config{Role: Cloud, Hearing: noHearing{}, Version: documentVersion, Desk: &desk.Desk{}, Auth: &auth.Service{}, Node: &replica.Node{}, Table: schema.Default(),
		Media: &Media{Uploads: http.NotFoundHandler()}, Edges: noEdges{}, Accounts: noAccounts{},
		Log: slog.New(slog.DiscardHandler), Now: time.Now, Random: rand.Reader})
	defer a.Close()
	text, err := json.Marshal(a.library.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		return nil, fmt.Errorf("indent the OpenAPI document: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// noEdges, noAccounts and noHearing stand for ports that are registered and never called.
type (
	noEdges    struct{ EdgesPort }
	noAccounts struct{ AccountsPort }
	noHearing  struct{ HearingPort }
)
