package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/hawser-dev/hawser/shared/wire"
)

// someLogs is what a hub answers to app logs: lines of two containers.
const someLogs = `{"sources":[{"source":1,"namespace":"n","pod":"a","container":"main"},{"source":2,"namespace":"n","pod":"b","container":"main"}]}
{"source":1,"at":"2026-01-02T03:04:05.5Z","text":"one\u001b[31m"}

{"source":2,"at":"2026-01-02T03:04:06Z","text":"begun ","partial":true}
{"source":2,"at":"2026-01-02T03:04:06Z","text":"and ended"}
{"notice":{"source":2,"code":"log_waiting","message":"it waits\u001b[2J"}}
{"source":2,"text":"cut","partial":true}
{"source":1,"text":"between"}
{"end":null}
`

func TestLogsAreText(t *testing.T) {
	one := `{"sources":[{"source":1,"pod":"a","container":"main"}]}
{"source":1,"at":"2026-01-02T03:04:05.5Z","text":"one"}
{"end":null}
`
	failed := `{"sources":[{"source":1,"pod":"a","container":"main"}]}
{"source":1,"text":"one"}
{"end":{"status":401,"kind":"unauthorized","code":"permission_revoked","detail":"the API token was revoked","fix":"log in again"}}
`
	for name, c := range map[string]struct {
		logs, args string
		code       int
		out, err   string
		asked      string
	}{
		"several containers": {someLogs, "", 0,
			"[a/main] one\x1b[31m\n[b/main] begun and ended\n[b/main] cut\n[a/main] between\n", "[b/main] it waits\uFFFD[2J\n", ""},
		"without a prefix": {someLogs, "--no-prefix --timestamps", 0,
			"2026-01-02T03:04:05.5Z one\x1b[31m\n2026-01-02T03:04:06Z begun and ended\ncut\nbetween\n", "", ""},
		"one container":           {one, "", 0, "one\n", "", "GET /applications/web/logs"},
		"one that may become two": {one, "-f", 0, "[a/main] one\n", "", "logs?follow=true"},
		"one that stays one":      {one, "-f --kind po --name a", 0, "one\n", "", "logs?follow=true&kind=po&resourceName=a"},
		"all options": {one, "--kind deploy --group= -n n --since 1h --since-time 2026-01-01T00:00:00Z --tail 0 --grep a.b -c main -p", 0, "one\n", "",
			"logs?container=main&grep=a.b&group=&kind=deploy&namespace=n&previous=true&since=1h0m0s&sinceTime=2026-01-01T00%3A00%3A00Z&tail=0"},
		"the permission ends":   {failed, "-f", 4, "[a/main] one\n", "(permission_revoked)", ""},
		"an answer that is cut": {strings.TrimSuffix(one, "{\"end\":null}\n"), "", 8, "one\n", "(answer_cut)", ""},
		"not an answer":         {"<html>\n", "", 2, "", "(answer_invalid)", ""},
	} {
		t.Run(name, func(t *testing.T) {
			hub := newHubOf(t, map[string]answer{"GET /applications/web/logs": {200, c.logs}})
			r := run(t, "", append([]string{"app", "logs", "web"}, strings.Fields(c.args)...)...)
			if r.code != c.code || r.out != c.out || !strings.Contains(r.err, c.err) || c.err == "" && r.err != "" && !strings.Contains(c.logs, "notice") {
				t.Errorf("exit status %d\nstdout %q\nwant   %q\nstderr %q", r.code, r.out, c.out, r.err)
			}
			if !strings.Contains(hub.requests(), c.asked) {
				t.Errorf("asked %s", hub.requests())
			}
		})
	}
}

func TestEventsThatAreFollowed(t *testing.T) {
	answers := map[string]answer{"GET /applications/web/events": {200, `{"event":{"uid":"1","type":"Normal","reason":"Pulled","message":"an image\u001b[2J","lastSeen":"2026-01-02T03:04:05Z","object":{"kind":"Pod","name":"web-1"}}}

{"end":{"status":404,"kind":"not_found","code":"application_gone","detail":"application \"web\" was deleted"}}
`}}
	hub := newHubOf(t, answers)
	r := run(t, "", "app", "events", "web", "-f")
	if r.code != 3 || !strings.Contains(r.out, "  Normal  Pulled  Pod web-1  an image\uFFFD[2J\n") || !strings.Contains(r.err, "(application_gone)") {
		t.Errorf("%+v", r)
	}
	if r := run(t, "", "app", "events", "web", "-f", "-o", "json"); !strings.HasPrefix(r.out, `{"event":{"uid":"1"`) || strings.Count(r.out, "\n") != 1 {
		t.Errorf("as JSON: %+v", r)
	}
	if !strings.Contains(hub.requests(), "events?follow=true") {
		t.Errorf("asked %s", hub.requests())
	}
}

// execHub is a hub whose only route is exec: it repeats what it is told.
func execHub(t *testing.T, end string) *http.Request {
	t.Helper()
	var seen http.Request
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = *r
		if r.URL.Query().Get("pod") == "forbidden" {
			w.WriteHeader(403)
			io.WriteString(w, `{"status":403,"kind":"denied","code":"exec_disabled","detail":"not here","fix":"--allow-exec"}`)
			return
		}
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{execProtocol}})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		ctx := r.Context()
		say := func(channel byte, b []byte) { conn.Write(ctx, websocket.MessageBinary, append([]byte{channel}, b...)) }
		say(execStdout, fmt.Appendf(nil, "ran %s\n", strings.Join(r.URL.Query()["command"], " ")))
		say(execStderr, []byte("careful\n"))
		for r.URL.Query().Get("stdin") == "true" {
			_, b, err := conn.Read(ctx)
			if err != nil {
				return
			}
			if b[0] == execStdEnd {
				break
			}
			say(execStdout, b[1:])
		}
		if end == "" {
			return // without a word
		}
		say(execEnd, []byte(end))
		conn.Close(websocket.StatusNormalClosure, "")
	}))
	srv.EnableHTTP2 = true // which must not be chosen
	srv.StartTLS()
	t.Cleanup(srv.Close)
	t.Setenv("HAWSER_CONFIG", t.TempDir()+"/config.yaml")
	t.Setenv("HAWSER_HUB", srv.URL)
	t.Setenv("HAWSER_CA_HASH", wire.CAHash(srv.Certificate()))
	t.Setenv("HAWSER_TOKEN", "hwt_CANARY")
	t.Setenv("HAWSER_CONTEXT", "")
	return &seen
}

func TestExecPassesThrough(t *testing.T) {
	revoked := `{"status":401,"kind":"unauthorized","code":"permission_revoked","detail":"the API token was revoked"}`
	for name, c := range map[string]struct {
		end, args, in string
		code          int
		out, err      string
	}{
		"success":               {`{"exitCode":0}`, "--pod p -- ls -l", "not read", 0, "ran ls -l\n", "careful\n"},
		"the exit status":       {`{"exitCode":42}`, "--pod p -- ls", "", 42, "ran ls\n", "careful\n"},
		"input":                 {`{"exitCode":0}`, "--pod p -i -- cat", strings.Repeat("0123456789", 10_000), 0, "ran cat\n" + strings.Repeat("0123456789", 10_000), "careful\n"},
		"the permission ends":   {revoked, "--pod p -- ls", "", 4, "ran ls\n", "careful\nerror: HW-4107 the API token was revoked (permission_revoked)\n"},
		"the connection is cut": {"", "--pod p -- ls", "", 8, "ran ls\n", "(answer_cut)"},
		"refused":               {"", "--pod forbidden -- ls", "", 5, "", "error: HW-7014 not here (exec_disabled)\n  fix: --allow-exec\n"},
	} {
		t.Run(name, func(t *testing.T) {
			seen := execHub(t, c.end)
			r := run(t, c.in, append([]string{"app", "exec", "web"}, strings.Fields(c.args)...)...)
			if r.code != c.code || r.out != c.out || !strings.Contains(r.err, c.err) {
				t.Errorf("exit status %d\nstdout %.200q\nstderr %q", r.code, r.out, r.err)
			}
			if seen.Header.Get("Authorization") != "Bearer hwt_CANARY" || seen.URL.Query().Get("tty") != "false" || seen.ProtoMajor != 1 {
				t.Errorf("asked %s %v", seen.URL, seen.Header)
			}
		})
	}
}

func TestInterruptedStreams(t *testing.T) {
	execHub(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	var out, errs bytes.Buffer
	stopping := writerFunc(func(b []byte) (int, error) { cancel(); return out.Write(b) })
	code := Main(ctx, []string{"app", "exec", "web", "--pod", "p", "-i", "--", "cat"}, Streams{In: blocked{}, Out: stopping, Err: &errs})
	if code != ExitInterrupted || !strings.HasPrefix(out.String(), "ran cat") {
		t.Errorf("exit status %d, %q, %q", code, out.String(), errs.String())
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

type blocked struct{}

func (blocked) Read([]byte) (int, error) { select {} }

// A file is no terminal, so that nothing is made raw and lines stay as they are.
func TestTerminalsAreRecognised(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if isTerminal(f) || isTerminal(&bytes.Buffer{}) || terminalOf(f) != nil || terminalOf(strings.NewReader("")) != nil {
		t.Error("a file or buffer counts as a terminal")
	}
}

func TestSizesAreSentAsTheHubReadsThem(t *testing.T) {
	b, err := json.Marshal(map[string]int{"columns": 80, "rows": 24})
	if err != nil || string(b) != `{"columns":80,"rows":24}` || !slices.Equal([]byte{execStdin, execStdout, execStderr, execEnd, execSize, execStdEnd}, []byte{0, 1, 2, 3, 4, 5}) {
		t.Errorf("%s, %v", b, err)
	}
}

// What has changed nothing and is over is no operation of a list; one that goes on is.
func TestAFinishedDryRunIsNotInTheList(t *testing.T) {
	for phase, want := range map[string]bool{"Succeeded": false, "Failed": false, "Running": true} {
		newHubOf(t, map[string]answer{"GET /applications": {200, `{"items":[{"name":"web","project":"p","cluster":"eu","operation":{"id":"o","kind":"sync","phase":"` + phase + `","spec":{"dryRun":true}}}]` + asOf}})
		if r := run(t, "", "app", "list"); r.code != 0 || strings.Contains(r.out, "dry run") != want {
			t.Errorf("%s: exit status %d\n%s", phase, r.code, r.out)
		}
	}
}
