package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// otherNames are keys of log lines that have another name everywhere else, so that
// one search finds all lines about a thing; docs/observability.md lists the names.
var otherNames = map[string]string{
	"app": "application (its name) or application_uid", "appName": "application", "app_name": "application", "appUID": "application_uid", "uid": "application_uid",
	"proj": "project", "projectName": "project", "op": "operation", "operationID": "operation", "req": "request", "requestID": "request", "requestId": "request",
	"trace": "trace_id", "traceID": "trace_id", "traceId": "trace_id", "repo": "repository", "repoURL": "repository", "err": "error", "clusterName": "cluster_name",
}

var logMethods = map[string]int{ // where keys and values begin
	"Debug": 1, "Info": 1, "Warn": 1, "Error": 1, "DebugContext": 2, "InfoContext": 2, "WarnContext": 2, "ErrorContext": 2, "Log": 3, "With": 0,
}

// TestLogLinesNameThingsTheSameEverywhere fails for a key that has another name.
func TestLogLinesNameThingsTheSameEverywhere(t *testing.T) {
	lines := 0
	for _, half := range []string{"hub", "agent", "shared"} {
		err := filepath.WalkDir(filepath.Join("..", "..", half), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			set := token.NewFileSet()
			f, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				sel, ok := call.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				first, ok := logMethods[sel.Sel.Name]
				if !ok || !isLog(sel.X) || len(call.Args) < first {
					return true
				}
				lines++
				for i := first; i < len(call.Args); i += 2 {
					lit, ok := call.Args[i].(*ast.BasicLit)
					if !ok || lit.Kind != token.STRING {
						break
					}
					switch key, _ := strconv.Unquote(lit.Value); {
					case otherNames[key] != "":
						t.Errorf("%s: the key %q is called %s", set.Position(lit.Pos()), key, otherNames[key])
					case strings.ToLower(key) != key:
						t.Errorf("%s: the key %q has capitals; words are joined by _", set.Position(lit.Pos()), key)
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if lines < 100 {
		t.Errorf("only %d lines of the log are found: the search of this test is broken", lines)
	}
}

// isLog: the name of what is called ends in log or Log.
func isLog(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return strings.EqualFold(x.Name, "log")
	case *ast.SelectorExpr:
		return strings.EqualFold(x.Sel.Name, "log")
	}
	return false
}
