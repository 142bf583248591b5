package httpapi

import (
	"bytes"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:generate go run ./openapigen

const swaggerPage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Smart Estate API</title>
<link rel="stylesheet" href="swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="swagger-ui-bundle.js"></script>
<script src="start.js"></script>
</body>
</html>
`

const swaggerStart = `window.addEventListener("load", function () {
  SwaggerUIBundle({ url: "../openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null });
});
`

// listPage is the documentation without any script, for programs built without npm.
const listPage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}} API</title>
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
pre { white-space: pre-wrap; font: inherit; }
code { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
section > div { margin: 0.75rem 0; padding-left: 0.75rem; border-left: 0.25rem solid; }
</style>
</head>
<body>
<h1>{{.Title}} API</h1>
<p>Version {{.Version}}. The whole description is in <a href="../openapi.json">openapi.json</a>.</p>
<pre>{{.Text}}</pre>
{{range .Tags}}<section>
<h2>{{.Name}}</h2>
<p>{{.Text}}</p>
{{range .Operations}}<div>
<code><strong>{{.Method}}</strong> {{.Path}}</code><br>
{{.Summary}}{{if .Open}} (no sign-in needed){{end}}
{{if .Text}}<pre>{{.Text}}</pre>{{end}}
</div>
{{end}}</section>
{{end}}</body>
</html>
`

type listedTag struct {
	Name, Text string
	Operations []listedOperation
}

type listedOperation struct {
	Method, Path, Summary, Text string
	Open                        bool
}

func (a *API) listOperations() ([]byte, error) {
	t, err := template.New("docs").Parse(listPage)
	if err != nil {
		return nil, fmt.Errorf("httpapi: parse the documentation page: %w", err)
	}
	doc := a.library.OpenAPI()
	var out bytes.Buffer
	err = t.Execute(&out, map[string]any{"Title": doc.Info.Title, "Version": doc.Info.Version, "Text": doc.Info.Description, "Tags": byTag(doc)})
	if err != nil {
		return nil, fmt.Errorf("httpapi: write the documentation page: %w", err)
	}
	return out.Bytes(), nil
}

func byTag(doc *huma.OpenAPI) []listedTag {
	operations := map[string][]listedOperation{}
	for path, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
			for _, tag := range op.Tags {
				operations[tag] = append(operations[tag], listedOperation{op.Method, path, op.Summary, op.Description, isOpen(op)})
			}
		}
	}
	var out []listedTag
	for _, tag := range doc.Tags {
		list := operations[tag.Name]
		slices.SortFunc(list, func(a, b listedOperation) int {
			return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method)
		})
		out = append(out, listedTag{tag.Name, tag.Description, list})
	}
	return out
}
