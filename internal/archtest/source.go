package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// fileLinesMax and functionLinesMax are the style's sizes; a test file
	// keeps to the first only, its tables are long and flat.
	fileLinesMax     = 600
	functionLinesMax = 70
	readmeLinesMax   = 40
)

// badNames say nothing about what a package gives, or hide one of Go's own.
func badNames() []string {
	return []string{
		"util", "utils", "common", "base", "helper", "helpers", "types", "misc", "shared",
		"http", "log", "errors", "time", "net", "os", "io", "sync", "sort", "strings", "bytes", "json",
	}
}

// skippedFolders hold nothing that we wrote, or what is wrong on purpose.
func skippedFolders() []string {
	return []string{".git", "node_modules", "bin", "testdata", "dist", "vendor"}
}

// CheckSource gives every break of the rules that show in one file, one line
// each.
func CheckSource(root string) ([]string, error) {
	var broken []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != root && slices.Contains(skippedFolders(), entry.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		found, err := checkFile(path, filepath.ToSlash(name))
		broken = append(broken, found...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the source under %s: %w", root, err)
	}
	return broken, nil
}

// checkFile judges one file; name is its path inside the module.
func checkFile(path, name string) ([]string, error) {
	// The root's README introduces the whole product and has no limit.
	readme := filepath.Base(name) == "README.md" && strings.Contains(name, "/")
	if !readme && filepath.Ext(name) != ".go" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	lines := bytes.Count(text, []byte("\n"))
	if readme {
		lines -= bytes.Count(text, []byte("\n|")) // a table may be as long as what it lists
		if lines > readmeLinesMax {
			return []string{fmt.Sprintf("%s has %d lines, a folder's README at most %d besides its tables", name, lines, readmeLinesMax)}, nil
		}
		return nil, nil
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return []string{fmt.Sprintf("%s cannot be parsed: %v", name, err)}, nil
	}
	if ast.IsGenerated(file) {
		return nil, nil
	}
	var broken []string
	if lines > fileLinesMax {
		broken = append(broken, fmt.Sprintf("%s has %d lines, at most %d", name, lines, fileLinesMax))
	}
	if slices.Contains(badNames(), file.Name.Name) {
		broken = append(broken, fmt.Sprintf("%s: package %s is named after nothing that it gives", name, file.Name.Name))
	}
	return append(broken, checkSyntax(files, file, name)...), nil
}

func checkSyntax(files *token.FileSet, file *ast.File, name string) []string {
	var broken []string
	say := func(at ast.Node, format string, args ...any) {
		line := files.Position(at.Pos()).Line
		broken = append(broken, fmt.Sprintf("%s:%d: %s", name, line, fmt.Sprintf(format, args...)))
	}
	test := strings.HasSuffix(name, "_test.go")
	folder := module + "/" + filepath.ToSlash(filepath.Dir(name))
	core := !test && slices.Contains(pure(), folder)
	clock := clockName(file)
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.FuncDecl:
			if node.Recv == nil && node.Name.Name == "init" {
				say(node, "func init hides what a program does at its start")
			}
			lines := files.Position(node.End()).Line - files.Position(node.Pos()).Line + 1
			if !test && lines > functionLinesMax {
				say(node, "func %s has %d lines, at most %d", node.Name.Name, lines, functionLinesMax)
			}
		case *ast.GoStmt:
			if core {
				say(node, "the core is pure: no goroutines")
			}
		case *ast.SelectorExpr:
			if of, ok := node.X.(*ast.Ident); core && ok && clock != "" && of.Name == clock && readsClock(node.Sel.Name) {
				say(node, "the core is pure: time.%s reads a clock", node.Sel.Name)
			}
		}
		return true
	})
	return broken
}

// clockName is what the file calls package time, empty if it does not.
func clockName(file *ast.File) string {
	for _, imported := range file.Imports {
		if imported.Path.Value != `"time"` {
			continue
		}
		if imported.Name != nil {
			return imported.Name.Name
		}
		return "time"
	}
	return ""
}

func readsClock(name string) bool {
	return slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}, name)
}
