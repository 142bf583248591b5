package httpapi

import (
	"embed"
	"fmt"
	"io/fs"
	"net/http"

	"estate/internal/obs"
	"estate/internal/problem"
)

const (
	pathDashboard = "/dashboard/"
	pathDocs      = "/docs/"
	pathDocument  = "/openapi.json"
	pathSync      = "/sync/"
	pathEnrol     = "/edges/enrol"
)

// pagePolicy is the content policy of our pages: everything comes from here.
const pagePolicy = "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

//go:embed swagger
var swaggerFiles embed.FS

// mountPages adds what is not an operation of the API. Only what is mounted open answers
// without a token.
func (a *API) mountPages() error {
	a.open("/healthz", obs.Alive())
	a.open("/readyz", obs.Ready(a.cfg.Ready, a.cfg.Log))
	if a.cfg.Gatherer != nil {
		a.open("/metrics", obs.MetricsHandler(a.cfg.Gatherer))
	}
	a.open(pathDocument, http.HandlerFunc(a.serveDocument))
	a.open(prefixAPI+pathDocument, http.HandlerFunc(a.serveDocument))
	a.open("/", http.RedirectHandler(pathDashboard, http.StatusFound))
	a.open("/dashboard", http.RedirectHandler(pathDashboard, http.StatusFound))
	a.open("/docs", http.RedirectHandler(pathDocs, http.StatusFound))
	a.openTree(pathDashboard, a.dashboard())
	docs, err := a.docs()
	if err != nil {
		return err
	}
	a.openTree(pathDocs, docs)
	if a.cfg.Sync != nil {
		// It finds out for itself which node is calling.
		a.router.NewRoute().PathPrefix(pathSync).Name(routeOpen).Handler(a.cfg.Sync)
	}
	if a.cfg.Enrol != nil {
		a.router.NewRoute().Path(pathEnrol).Methods(http.MethodPost).Name(routeOpen).Handler(a.cfg.Enrol)
	}
	if a.cfg.Media != nil && a.cfg.Media.Uploads != nil {
		for _, prefix := range []string{"", prefixAPI} {
			a.router.NewRoute().PathPrefix(prefix + pathUploads).Handler(a.cfg.Media.Uploads)
		}
	}
	return nil
}

func (a *API) open(path string, h http.Handler) {
	a.router.NewRoute().Path(path).Methods(http.MethodGet, http.MethodHead).Name(routeOpen).Handler(h)
}

func (a *API) openTree(prefix string, h http.Handler) {
	a.router.NewRoute().PathPrefix(prefix).Methods(http.MethodGet, http.MethodHead).Name(routeOpen).Handler(http.StripPrefix(prefix[:len(prefix)-1], h))
}

func (a *API) serveDocument(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/vnd.oai.openapi+json;version=3.1")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(a.document) // a reader who left needs no answer
}

// files serves the files of a page.
func (a *API) files(from fs.FS) http.Handler {
	server := http.FileServerFS(from)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", pagePolicy)
		w.Header().Set("Cache-Control", "no-cache")
		server.ServeHTTP(w, r)
	})
}

func (a *API) dashboard() http.Handler {
	if a.cfg.Dashboard == nil {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			refuse(w, r, problem.New(problem.NotFound, "this program was built without the dashboard"), a.failures)
		})
	}
	return a.files(a.cfg.Dashboard)
}

// docs is the documentation: the interactive page where its files were built in, a list of
// the operations otherwise.
func (a *API) docs() (http.Handler, error) {
	dist, err := fs.Sub(swaggerFiles, "swagger")
	if err != nil {
		return nil, fmt.Errorf("httpapi: open the documentation's files: %w", err)
	}
	page, err := a.listOperations()
	if err != nil {
		return nil, err
	}
	if _, err := fs.Stat(dist, "swagger-ui-bundle.js"); err == nil {
		page = []byte(swaggerPage)
	}
	files := a.files(dist)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/", "/index.html":
			w.Header().Set("Content-Security-Policy", pagePolicy)
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write(page)
		case "/start.js":
			w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
			_, _ = w.Write([]byte(swaggerStart))
		default:
			files.ServeHTTP(w, r)
		}
	}), nil
}
