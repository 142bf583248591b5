package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"estate/internal/apiclient"
	"estate/internal/problem"
	"estate/internal/synclink"
	"estate/sync/wire"
)

// TestBadInput: each bad request gets a coded error, at both programs, and blocks nothing.
func TestBadInput(t *testing.T) {
	t.Parallel()
	w, cloud := begin(t, oak(), false)
	e := w.edge(cloud, "OAK")
	tickets := "/buildings/" + e.Place.ID.String() + "/tickets"
	asJSON := http.Header{"Content-Type": {"application/json"}}
	tests := map[string]struct {
		method, path, body string
		header             http.Header
		status             int
		code               problem.Code
	}{
		"MalformedJSON":   {"POST", tickets, `{"title":`, asJSON, 400, problem.InvalidInput},
		"UnknownField":    {"POST", tickets, `{"title":"x","colour":"red"}`, asJSON, 400, problem.InvalidInput},
		"NotUTF8":         {"POST", tickets, "{\"title\":\"\xff\"}", asJSON, 400, problem.NotUTF8},
		"NoTitle":         {"POST", tickets, `{"title":""}`, asJSON, 400, problem.InvalidInput},
		"TitleTooLong":    {"POST", tickets, `{"title":"` + strings.Repeat("x", 201) + `"}`, asJSON, 400, problem.InvalidInput},
		"UnknownValue":    {"POST", tickets, `{"title":"x","priority":"now"}`, asJSON, 400, problem.InvalidInput},
		"MadeUpID":        {"POST", tickets, `{"title":"x","id":"00000000-0000-4000-8000-000000000001"}`, asJSON, 400, problem.InvalidInput},
		"ForeignUnit":     {"POST", tickets, `{"title":"x","unit":"01890000-0000-7000-8000-000000000001"}`, asJSON, 400, problem.InvalidInput},
		"OversizeBody":    {"POST", tickets, `{"title":"` + strings.Repeat("x", 2<<20) + `"}`, asJSON, 413, problem.TooLarge},
		"NotJSON":         {"POST", tickets, "title=x", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, 415, problem.ContentType},
		"WrongBuilding":   {"GET", "/buildings/01890000-0000-7000-8000-000000000001/tickets", "", nil, 404, problem.NotFound},
		"NoSuchTicket":    {"GET", tickets + "/01890000-0000-7000-8000-000000000001", "", nil, 404, problem.NotFound},
		"NoSuchRoute":     {"GET", "/nothing/here", "", nil, 404, problem.NotFound},
		"WrongMethod":     {"DELETE", tickets, "", nil, 405, problem.MethodNotAllowed},
		"BadToken":        {"GET", tickets, "", http.Header{"Authorization": {"Bearer nonsense"}}, 401, ""},
		"BadSeenToken":    {"PATCH", tickets + "/01890000-0000-7000-8000-000000000001", `{"title":"x"}`, http.Header{"Content-Type": {"application/json"}, "If-Match": {`"@@"`}}, 400, problem.InvalidInput},
		"BadCursor":       {"GET", tickets + "?cursor=nonsense", "", nil, 400, problem.InvalidInput},
		"UploadTooLarge":  {"POST", "/media/uploads/", "", http.Header{"Tus-Resumable": {"1.0.0"}, "Upload-Length": {"99999999999999"}, "Upload-Metadata": {"filename eA=="}}, 0, ""},
		"UploadNoVersion": {"POST", "/media/uploads/", "", http.Header{"Upload-Length": {"5"}}, 412, problem.TusVersion},
	}
	for where, base := range map[string]string{"Cloud": cloud.Base(), "Edge": e.Base()} {
		manager := w.as(base, "manager")
		for name, test := range tests {
			t.Run(where+"/"+name, func(t *testing.T) {
				_, err := manager.Do(t.Context(), test.method, test.path, test.header, strings.NewReader(test.body))
				refused, ok := refusalOf(err)
				switch {
				case !ok || refused.Status < 400 || refused.Status >= 500 || refused.Code == "":
					t.Errorf("want a coded refusal, got %v", err)
				case test.status != 0 && refused.Status != test.status, test.code != "" && refused.Code != test.code:
					t.Errorf("want %d %s, got %v", test.status, test.code, err)
				}
			})
		}
		t.Run(where+"/MalformedFrame", func(t *testing.T) { malformedFrame(t, manager) })
		if _, err := manager.CreateTicket(t.Context(), e.Place.ID, "", apiclient.NewTicket{Title: "after it all at " + where}); err != nil {
			t.Errorf("%s does not work any more: %v", where, err)
		}
	}
	converged(t, w.as(cloud.Base(), "manager"), w.as(e.Base(), "manager"), e.Place.ID)
}

// malformedFrame: the exchange answers what is no frame with a farewell that has a code.
func malformedFrame(t *testing.T, client *apiclient.Client) {
	t.Helper()
	answer, err := client.Do(t.Context(), http.MethodPost, "/sync/exchange", nil, strings.NewReader("\x00\xff\x00 not a frame"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	codec, err := synclink.NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	message, _, err := codec.ReadFrame(answer.Body)
	bye, ok := message.(wire.Bye)
	if err != nil || !ok || bye.Code == "" {
		t.Errorf("want a farewell with a code, got %#v, %v", message, err)
	}
}

func refusalOf(err error) (*apiclient.Error, bool) {
	refused, ok := err.(*apiclient.Error) //nolint:errorlint // the client gives it bare
	return refused, ok
}
