package scenarios

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/rig"
)

// TestACredentialIsNowhere gives a hub with the most talkative log a credential
// for servers that fail in every way, lets it probe and follow them, and looks
// for the secret everywhere that it could have got to: logs, answers, arguments
// and environments of processes, and every file that the hub has written, its
// database included.
func TestACredentialIsNowhere(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	w, err := need()
	if err != nil {
		t.Fatal(err)
	}
	const canary, user = "CANARY-q7x2-s3cret", "robot"
	secrets := []string{canary, base64.StdEncoding.EncodeToString([]byte(user + ":" + canary)), "CANARY"}
	elsewhere := make(chan string, 100)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		elsewhere <- req.Header.Get("Authorization")
	}))
	defer other.Close()
	looked := make(chan string, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		name := strings.Split(req.URL.Path, "/")[1]
		got, _, _ := strings.Cut(name, ".")
		if _, password, ok := req.BasicAuth(); ok && password == canary {
			select {
			case looked <- got:
			default:
			}
		}
		if code, err := strconv.Atoi(got); err == nil {
			// A careless server says what it was told.
			http.Error(w, "bad credential "+req.Header.Get("Authorization")+" "+canary, code)
			return
		}
		switch got {
		case "away":
			http.Redirect(w, req, other.URL+req.URL.RequestURI(), http.StatusFound)
		case "insecure":
			http.Redirect(w, req, "ftp://"+user+":"+canary+"@127.0.0.1/x", http.StatusFound)
		case "html":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html>"+canary)
		case "says":
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			line := "ERR no access for " + user + ":" + canary + "@here\n"
			fmt.Fprintf(w, "%04x%s", len(line)+4, line)
		case "cut":
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, "001e# service=git-upload-pack\n0000")
		}
	}))
	defer server.Close()

	var said bytes.Buffer
	run := func(stdin string, args ...string) {
		out, err := w.CLIInput(ctx, []byte(stdin), args...)
		said.Write(out)
		var status *rig.CLIError
		if errors.As(err, &status) {
			said.WriteString(status.Stdout + status.Stderr)
		} else if err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"401", "403", "404", "429", "500", "away", "insecure", "html", "says", "cut"}
	for _, name := range names {
		url := server.URL + "/" + name + ".git"
		run(canary+"\n", "repo", "add", url, "--username", user, "--password-stdin")
		run(canary+"\n", "repo", "add", url, "--username", user, "--password-stdin", "--skip-test")
		run("", "repo", "test", url)
		run("", "repo", "test", url, "-o", "json")
		run("", "app", "create", "canary-"+name, "--repo", url, "--path", "a", "--dest-name", "eu", "--dest-namespace", "x")
	}
	run(canary+"\n", "repo", "add", "https://no-such-host.invalid/x", "--username", user, "--password-stdin")
	run(canary+"\n", "repocreds", "add", server.URL+"/team", "--username", user, "--password-stdin")
	run("", "repo", "add", "https://"+user+":"+canary+"@127.0.0.1/x")
	defer func() {
		for _, name := range names {
			run("", "app", "delete", "canary-"+name, "--yes")
			run("", "repo", "remove", server.URL+"/"+name+".git")
		}
		run("", "repocreds", "remove", server.URL+"/team")
	}()
	// The servers are followed, and not only probed.
	seen := map[string]int{}
	const probes = 3
	for followed := 0; followed < len(names); {
		select {
		case name := <-looked:
			if seen[name]++; seen[name] == probes+1 {
				followed++
			}
		case <-ctx.Done():
			t.Fatalf("servers were asked: %v", seen)
		}
	}
	for _, path := range []string{"/repositories", "/repository-templates", "/applications", "/operations", "/clusters"} {
		var out any
		if err := w.api.Get(ctx, path, &out); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		fmt.Fprintf(&said, "%v", out)
	}
	find := func(where string, b []byte) {
		for _, s := range secrets {
			if i := bytes.Index(b, []byte(s)); i >= 0 {
				t.Errorf("%s has %q: …%q…", where, s, b[max(i-120, 0):min(i+80, len(b))])
				return
			}
		}
	}
	find("what people see", said.Bytes())
	processes := 0
	paths, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		exe, err := os.Readlink(p + "/exe")
		if err != nil || !strings.HasPrefix(exe, w.Bin) {
			continue
		}
		processes++
		for _, name := range []string{"cmdline", "environ"} {
			if b, err := os.ReadFile(filepath.Join(p, name)); err == nil {
				find("a process's "+name, b)
			}
		}
	}
	if processes < 2 {
		t.Errorf("%d processes of the hub were seen", processes)
	}
	files := 0
	err = filepath.WalkDir(w.Dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && !e.Type().IsRegular() {
			return nil // the database removes files of its own
		}
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		files++
		find(strings.TrimPrefix(path, w.Dir), b)
		return err
	})
	if err != nil || files < 10 {
		t.Errorf("%d files, %v", files, err)
	}
	close(elsewhere)
	for auth := range elsewhere {
		if auth != "" {
			t.Errorf("another host got %q", auth)
		}
	}
}
