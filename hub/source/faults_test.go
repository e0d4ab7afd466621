package source

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/fault"
)

func TestFaultsOfTheServer(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, head := createRepo(t, server, "app", map[string]string{"a": strings.Repeat("1", 5000)})
	s := newSources(t, Options{})
	mustResolve(t, s, repo.URL(), "main")
	next := commit(t, repo, map[string]string{"a": "2"})

	faults := []struct {
		name       string
		fault      testbed.GitFault
		code, text string
	}{
		{"HTML", testbed.FaultHTML(), "git_not_git", "web page (text/html)"},
		{"500", testbed.FaultStatus(500), "git_unavailable", "answered 500"},
		{"503", testbed.FaultStatus(503), "git_unavailable", "answered 503"},
		{"429", testbed.FaultStatus(429), "git_unavailable", "429"},
		{"404", testbed.FaultStatus(404), "repository_not_found", "does not exist"},
		{"403", testbed.FaultStatus(403), "git_auth_failed", "403"},
		{"204", testbed.FaultStatus(204), "git_unavailable", "204"},
		{"cut", testbed.FaultTruncate(100), "git_unavailable", "in the middle of an answer"},
	}
	for _, tt := range faults {
		t.Run(tt.name, func(t *testing.T) {
			server.SetFault(tt.fault)
			defer server.ClearFaults()
			_, err := resolve(t.Context(), s, repo.URL(), "main")
			if !fault.HasCode(err, tt.code) || !fault.Is(err, fault.Upstream) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v", err)
			}
			if got := fileText(t, snapshot(t, s, repo.URL(), head), "a"); len(got) != 5000 {
				t.Errorf("the last good commit cannot be read: %q", got)
			}
		})
	}
	t.Run("down", func(t *testing.T) {
		server.Down()
		_, err := resolve(t.Context(), s, repo.URL(), "main")
		if !fault.HasCode(err, "git_unavailable") || !strings.Contains(err.Error(), " refuses connections") || !regexp.MustCompile(`127\.0\.0\.1:[0-9]+ refuses`).MatchString(err.Error()) {
			t.Errorf("got %v", err)
		}
		if err := server.Up(); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("hanging", func(t *testing.T) {
		server.SetFault(testbed.FaultHang())
		defer server.ClearFaults()
		hasty := newSources(t, Options{Timeout: 300 * time.Millisecond})
		if _, err := resolve(t.Context(), hasty, repo.URL(), "main"); !fault.HasCode(err, "git_unavailable") {
			t.Errorf("got %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := resolve(ctx, s, repo.URL(), "main"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
	if got := mustResolve(t, s, repo.URL(), "main"); got != next {
		t.Errorf("after the faults: %s, want %s", got, next)
	}
	if _, err := resolve(t.Context(), s, server.URL("nothing"), "main"); !fault.HasCode(err, "repository_not_found") {
		t.Errorf("got %v", err)
	}
	if _, err := resolve(t.Context(), s, "https://no-such-host.invalid/x", "main"); !fault.HasCode(err, "git_unavailable") {
		t.Errorf("got %v", err)
	}
	empty, err := server.CreateRepo(t.Context(), "empty")
	if err != nil {
		t.Fatal(err)
	}
	if r := resolveOne(t, s, empty.URL(), "HEAD"); !fault.HasCode(r.Err, "revision_not_found") || !strings.Contains(r.Err.Error(), "empty") {
		t.Errorf("empty repository: %+v", r)
	}
}

func TestATransferThatIsCutLeavesNothingHalf(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, first := createRepo(t, server, "app", manyFiles(0))
	s := newSources(t, Options{})
	cut := func(bytes int64) {
		t.Helper()
		server.SetFault(testbed.FaultTruncate(bytes))
		defer server.ClearFaults()
		if _, err := resolve(t.Context(), s, repo.URL(), "main"); !fault.HasCode(err, "git_unavailable") {
			t.Errorf("cut after %d bytes: %v", bytes, err)
		}
	}
	for _, n := range []int64{1000, 5000, 20_000} { // within the pack that is stored as one
		cut(n)
	}
	if got := mustResolve(t, s, repo.URL(), "main"); got != first {
		t.Fatalf("got %s", got)
	}
	small := map[string]string{}
	for i := range 20 {
		small[fmt.Sprintf("apps/app-%03d/random.txt", i)] = strings.Repeat(fmt.Sprint(i*7919), 300+i)
	}
	second := commit(t, repo, small)
	for _, n := range []int64{1000, 2000} { // within the pack whose objects are stored one by one
		cut(n)
	}
	if got := mustResolve(t, s, repo.URL(), "main"); got != second {
		t.Fatalf("got %s", got)
	}
	files, err := listFiles(t.Context(), snapshot(t, s, repo.URL(), second), "", true)
	if err != nil || len(files) != 2020 {
		t.Errorf("%d files, %v", len(files), err)
	}
}

func TestLimitOfTransfers(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, _ := createRepo(t, server, "app", manyFiles(0))
	s := newSources(t, Options{MaxPackBytes: 1000})
	if _, err := resolve(t.Context(), s, repo.URL(), "main"); !fault.HasCode(err, "repository_too_large") {
		t.Errorf("got %v", err)
	}
}
