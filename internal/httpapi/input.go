package httpapi

import (
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"estate/internal/desk"
	"estate/internal/problem"
	"estate/sync/record"
)

// idSchema stands for record.ID in the document.
type idSchema struct{}

// The types behind the alias in the registry.
var (
	idType       = reflect.TypeFor[record.ID]()
	idSchemaType = reflect.TypeFor[idSchema]()
)

// idTextMax is the length of a UUID; the empty text means none.
const idTextMax = 36

// Schema implements huma.SchemaProvider. An empty text is let through: it clears a field.
func (idSchema) Schema(huma.Registry) *huma.Schema {
	length := idTextMax
	s := &huma.Schema{Type: huma.TypeString, MaxLength: &length, Description: "UUID", Examples: []any{"0192b5c4-7a00-7000-8000-000000000001"}}
	s.PrecomputeMessages()
	return s
}

// InBuilding is the building of a request.
type InBuilding struct {
	Building record.ID `path:"building" doc:"Id of the building"`
}

// InTicket is the ticket of a request.
type InTicket struct {
	InBuilding
	Ticket record.ID `path:"ticket" doc:"Id of the ticket"`
}

// InPage asks for part of a list.
type InPage struct {
	Page    int    `query:"page" minimum:"1" maximum:"10000" doc:"Number of the page, from 1"`
	PerPage int    `query:"per_page" minimum:"1" maximum:"200" doc:"Items on a page; 50 if left out"`
	Cursor  string `query:"cursor" maxLength:"1024" doc:"The next of the list before; wins over page"`
}

func (p InPage) page() desk.Page {
	return desk.Page{Page: p.Page, PerPage: p.PerPage, Cursor: p.Cursor}
}

// InKey lets a request be retried.
type InKey struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"128" pattern:"^[!-~]*$" doc:"Chosen by the client for one intended action and sent again with each retry of it; the result is made once"`
}

// InMatch says what the author of a change was shown.
type InMatch struct {
	IfMatch string `header:"If-Match" maxLength:"16384" doc:"The seen token or ETag of what was shown; without one, what is stored counts as seen"`
}

// seen reads the token from an entity tag or a bare token.
func (m InMatch) seen() (string, error) {
	tag := strings.TrimSpace(m.IfMatch)
	if tag == "*" {
		return "", nil
	}
	if strings.Contains(tag, ",") {
		return "", problem.Invalid(problem.FieldError{Field: "If-Match", Message: "send one token"})
	}
	return strings.Trim(strings.TrimPrefix(tag, "W/"), `"`), nil
}

func tag(seen string) string {
	if seen == "" {
		return ""
	}
	return `"` + seen + `"`
}

type outList[T any] struct {
	Body desk.List[T]
}

func listed[T any](list desk.List[T], err error) (*outList[T], error) {
	if err != nil {
		return nil, err
	}
	if list.Items == nil {
		list.Items = []T{}
	}
	return &outList[T]{Body: list}, nil
}

type outItem[T any] struct {
	ETag string `header:"ETag" doc:"The seen token, for If-Match"`
	Body T
}

type outBody[T any] struct {
	Body T
}

func body[T any](item T, err error) (*outBody[T], error) {
	if err != nil {
		return nil, err
	}
	return &outBody[T]{Body: item}, nil
}

type outNothing struct{}

func nothing(err error) (*outNothing, error) {
	if err != nil {
		return nil, err
	}
	return &outNothing{}, nil
}
