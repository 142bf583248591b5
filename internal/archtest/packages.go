// Package archtest enforces the design's rules on who may import whom, and the
// style's rules that a parser can see.
//
// It must never be imported: its test is its only user. It judges the tree as
// it is and changes nothing.
package archtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// Package is what the rules need to know of one Go package.
type Package struct {
	Path        string   `json:"ImportPath"`
	Imports     []string `json:"Imports"`
	TestImports []string `json:"TestImports"`
	XTestImport []string `json:"XTestImports"`
	Deps        []string `json:"Deps"`
}

// Load lists the module's packages, also those that do not compile yet.
func Load(ctx context.Context, root string) ([]Package, error) {
	list := exec.CommandContext(ctx, "go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports,Deps", "./...")
	list.Dir = root
	var problems bytes.Buffer
	list.Stderr = &problems
	output, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages of %s: %w: %s", root, err, problems.String())
	}
	var found []Package
	decoder := json.NewDecoder(bytes.NewReader(output))
	for {
		var p Package
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the list of packages: %w", err)
		}
		found = append(found, p)
	}
}

// within says whether an import path is the folder or inside it.
func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

func withinAny(path string, folders []string) bool {
	for _, folder := range folders {
		if within(path, folder) {
			return true
		}
	}
	return false
}

// standard says whether an import path is Go's own library: its first element
// has no dot, and it is not ours.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return first != module && !strings.Contains(first, ".")
}
