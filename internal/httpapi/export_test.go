package httpapi

import (
	"net/http"

	"github.com/gorilla/mux"
)

// Route is one method of one route.
type Route struct{ Method, Path string }

// Routes walks every route of an API's router, whatever added it.
func Routes(a *API) ([]Route, error) {
	var out []Route
	err := a.router.Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := route.GetPathTemplate()
		if err != nil {
			return err
		}
		methods, err := route.GetMethods()
		if err != nil {
			// A route of all methods.
			methods = []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete, http.MethodHead}
		}
		for _, m := range methods {
			out = append(out, Route{m, path})
		}
		return nil
	})
	return out, err
}

// OperationsPage is the documentation as it is where no files of the interactive page were
// built in.
func OperationsPage(a *API) ([]byte, error) { return a.listOperations() }
