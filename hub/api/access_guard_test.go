package api

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// Nothing runs for a handshake that is then refused: neither another version nor
// a wrong key nor another site's page gets as far as the agent.
func TestHandshakeIsCheckedBeforeTheCommandStarts(t *testing.T) {
	for name, headers := range map[string]map[string]string{
		"another version": {"Sec-WebSocket-Version": "8"},
		"no key":          {"Sec-WebSocket-Key": ""},
		"a wrong key":     {"Sec-WebSocket-Key": "c2hvcnQ="},
		"another site":    {"Origin": "https://elsewhere.example"},
		"no site":         {"Origin": "null"},
		"no upgrade":      {"Connection": "xupgrade"},
	} {
		t.Run(name, func(t *testing.T) {
			w, k := lookWorld(t, shell)
			s := w.serve(t, false)
			req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/api/v1/applications/web/exec?namespace=n&pod=p&command=sh", nil)
			if err != nil {
				t.Fatal(err)
			}
			for key, value := range map[string]string{
				"Authorization": "Bearer " + w.token, "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
				"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": ExecProtocol,
			} {
				req.Header.Set(key, value)
			}
			for key, value := range headers {
				if req.Header.Set(key, value); value == "" {
					req.Header.Del(key)
				}
			}
			resp, err := s.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			k.mu.Lock()
			asked := len(k.asked)
			k.mu.Unlock()
			if resp.StatusCode/100 != 4 || asked != 0 {
				t.Errorf("%s, and the agent was asked %d times", resp.Status, asked)
			}
			said, about := "a command in a container was refused", "pod=p"
			if headers["Origin"] != "" {
				said, about = "a page of another origin was refused", headers["Origin"]
			}
			if log := w.logged(); !strings.Contains(log, "level=INFO msg=\""+said+"\"") || !strings.Contains(log, about) {
				t.Errorf("log: %s", log)
			}
		})
	}
}

// Who tries to run what is in the log before it runs, and when it is refused.
func TestCommandsAreLoggedBeforeTheyRun(t *testing.T) {
	var w *world
	before := make(chan string, 1)
	w, _ = lookWorld(t, func(s *scripted) {
		before <- w.logged()
		shell(s)
	})
	s := w.serve(t, false)
	if _, _, err := w.dialExec(t, s, "namespace=n&pod=p&container=main&command=nope&command=secret", ExecProtocol); err == nil {
		t.Fatal("it runs")
	}
	asked := <-before
	for _, want := range []string{"level=INFO", "a command in a container is asked for", "by=ana", "application=web", "namespace=n", "pod=p", "container=main", "program=nope"} {
		if !strings.Contains(asked, want) {
			t.Errorf("before it runs the log lacks %q: %s", want, asked)
		}
	}
	if log := w.logged(); !strings.Contains(log, "level=INFO msg=\"a command in a container was refused\"") || !strings.Contains(log, "not in this cluster") || strings.Contains(log, "secret") {
		t.Errorf("log: %s", log)
	}
}

func TestReadingASecretIsLogged(t *testing.T) {
	w, _ := lookWorld(t, func(s *scripted) {
		s.say(model.AccessAnswer{Object: []byte(`{"kind":"Secret","apiVersion":"v1","metadata":{"name":"pass","namespace":"n"}}`)})
		s.end(nil)
	})
	w.call("GET", "/api/v1/applications/web/resource?resourceName=pass", "")
	if log := w.logged(); !strings.Contains(log, "level=INFO msg=\"a Secret was read, its values redacted\"") || !strings.Contains(log, "name=pass") || !strings.Contains(log, "by=ana") {
		t.Errorf("log: %s", log)
	}
}

// All streams of a revoked token end, however many there are from one address.
func TestAllStreamsOfARevokedTokenEnd(t *testing.T) {
	const n = 15 // more than the failures that block an address
	w, k := lookWorld(t, endless, func(o *Options) { o.AccessLimits.Unsure = time.Hour })
	s := w.serve(t, true)
	var streams []*follower
	for range n {
		f := w.follow(t, s, "web/logs?follow=true")
		f.until("here")
		streams = append(streams, f)
	}
	tokens, err := w.auth.Tokens(t.Context())
	if err != nil || w.auth.Revoke(t.Context(), tokens[0].ID) != nil {
		t.Fatal("not revoked")
	}
	for _, f := range streams {
		f.until("permission_revoked")
	}
	await(t, "the streams to be closed", func() bool { return k.open() == 0 })
}

// A command that takes no input keeps neither a client that has gone nor one
// that stays for ever.
func TestCommandThatTakesNoInputEnds(t *testing.T) {
	deaf := func(s *scripted) {
		s.say(model.AccessAnswer{Started: &model.ExecStarted{Namespace: "n", Pod: "p", Container: "main"}})
		<-s.ctx.Done()
	}
	for name, c := range map[string]struct {
		slow, ping time.Duration
		leave      bool
	}{
		"the client stays": {3 * time.Second, time.Second, false}, // and answers no ping, as it does not read
		"the client goes":  {time.Hour, 50 * time.Millisecond, true},
	} {
		t.Run(name, func(t *testing.T) {
			w, k := lookWorld(t, deaf, func(o *Options) { o.AccessLimits.SlowReader, o.AccessLimits.Ping = c.slow, c.ping })
			conn, _, err := w.dialExec(t, w.serve(t, false), "pod=p&command=sleep&stdin=true", ExecProtocol)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			for range 3 {
				if err := conn.Write(t.Context(), websocket.MessageBinary, []byte{channelStdin, 'x'}); err != nil {
					t.Fatal(err)
				}
			}
			if c.leave {
				conn.CloseNow()
			} else if channel, text := readExec(t, conn); channel != channelEnd || !strings.Contains(text, "input_stalled") {
				t.Errorf("channel %d says %s", channel, text)
			}
			await(t, "the command to be ended", func() bool { return k.open() == 0 })
		})
	}
}

// What an agent says is bounded in each text and in all, whatever kind it is of.
func TestAnswersAreBounded(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	w, k := lookWorld(t, func(s *scripted) {
		if s.request.Events != nil {
			for s.say(model.AccessAnswer{Events: []model.ObjectEvent{{UID: long, Type: long, Reason: long, Message: long, Source: long, Field: long}}}) {
				if s.request.Events.Limit == 1 {
					s.end(nil)
					return
				}
			}
			return
		}
		for i := 1; s.say(model.AccessAnswer{Sources: []model.LogSource{{Number: i, Namespace: long, Pod: long, Container: long}}}); i++ {
		}
	})
	one := w.call("GET", "/api/v1/applications/web/events?limit=1", "")
	if one.status != 200 || len(one.body) > 10<<10 {
		t.Errorf("texts of an event are passed on as they are: %d bytes", len(one.body))
	}
	if all := w.call("GET", "/api/v1/applications/web/events", ""); len(all.body) > maxObject {
		t.Errorf("%d bytes of events", len(all.body))
	}
	w.call("GET", "/api/v1/applications/web/logs?follow=true", "").mustContain(t, "answer_too_large")
	await(t, "the streams to be closed", func() bool { return k.open() == 0 })
}

func (a answer) mustContain(t *testing.T, text string) {
	t.Helper()
	if !strings.Contains(a.body, text) {
		t.Errorf("%d, %.200q; want %q in it", a.status, a.body, text)
	}
}

// Events, sources and notices count as bytes too.
func TestAllOfAnAnswerIsCounted(t *testing.T) {
	for name, m := range map[string]model.AccessAnswer{
		"events":  {Events: []model.ObjectEvent{{Message: strings.Repeat("x", 1000)}}},
		"actions": {Actions: []model.ResourceAction{{Name: strings.Repeat("x", 1000)}}},
		"sources": {Sources: []model.LogSource{{Pod: strings.Repeat("x", 1000)}}},
		"notices": {Notice: &model.LogNotice{Message: strings.Repeat("x", 1000)}},
	} {
		if n := sizeOf(m); n < 1000 {
			t.Errorf("%s: %d", name, n)
		}
	}
}

// A bucket that was emptied is not full again because its stream has ended.
func TestBucketsOutliveTheirStreams(t *testing.T) {
	m := newMeters(AccessLimits{UserBytes: 1 << 20, ClusterBytes: 1 << 30})
	spend, done, err := m.open("ana", "eu")
	if err != nil || spend(t.Context(), meterBurst) != nil {
		t.Fatal("nothing may pass")
	}
	done()
	spend, done, err = m.open("ana", "eu")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if spend(ctx, meterBurst) == nil {
		t.Error("a new stream begins with a full bucket")
	}
	done()
	m.users["ana"].bytes.SetLimit(1e12) // time passes
	await(t, "the bucket to be forgotten", func() bool {
		_, done, err := m.open("bob", "us")
		if err != nil {
			t.Fatal(err)
		}
		done()
		return m.users["ana"] == nil
	})
}

// slowActions answers when it is told to.
type slowActions struct{ entered, leave chan struct{} }

func (s slowActions) ResourceActions(context.Context, fleet.App, string, model.ObjectKey) ([]model.ResourceAction, error) {
	s.entered <- struct{}{}
	<-s.leave
	return nil, nil
}

// Looking up actions is one of the things that a user looks at.
func TestActionsCountAsAStream(t *testing.T) {
	w := withObjects(t)
	w.opts.AccessLimits.UserStreams = 1
	slow := slowActions{entered: make(chan struct{}), leave: make(chan struct{})}
	w.opts.Actions = slow
	w.handler = New(w.opts)
	const route = "/api/v1/applications/web/resource-actions?group=apps&kind=Deployment&namespace=shop&resourceName=web"
	done := make(chan int)
	go func() { done <- w.call("GET", route, "").status }()
	<-slow.entered
	w.call("GET", route, "").problem(429, "access_limit")
	close(slow.leave)
	if status := <-done; status != 200 {
		t.Errorf("the first: %d", status)
	}
}

// An agent that is old, or lies, does not make the hub pass values of Secrets on.
func TestSecretsAreMaskedAtTheHubToo(t *testing.T) {
	for name, c := range map[string]struct{ object, want string }{
		"values": {`{"apiVersion":"v1","kind":"Secret","data":{"a":"cGFzcw==","b":"redacted:01234567","c":1},"stringData":{"d":"pass"}}`,
			`{"apiVersion":"v1","data":{"a":"redacted:","b":"redacted:01234567","c":"redacted:"},"kind":"Secret","stringData":{"d":"redacted:"}}`},
		"a value that only begins so": {`{"apiVersion":"v1","kind":"Secret","data":{"a":"redacted:pass word"}}`, `{"apiVersion":"v1","data":{"a":"redacted:"},"kind":"Secret"}`},
		"no object of values":         {`{"apiVersion":"v1","kind":"Secret","data":"cGFzcw=="}`, `{"apiVersion":"v1","data":"redacted:","kind":"Secret"}`},
		"the kind written otherwise":  {`{"apiVersion":"v1","kind":"\u0053ecret","data":{"a":"x"}}`, `{"apiVersion":"v1","data":{"a":"redacted:"},"kind":"Secret"}`},
		"the kind given twice":        {`{"apiVersion":"v1","kind":"Secret","data":{"a":"x"},"kind":"Secret"}`, `{"apiVersion":"v1","data":{"a":"redacted:"},"kind":"Secret"}`},
		"last applied": {`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}","x":"<y>"}}}`,
			`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"annotations":{"x":"<y>"}}}`},
		"another's kind": {`{"kind":"Secret","apiVersion":"x.example/v1","data":{"a":"x"},"n":12345678901234567890}`,
			`{"apiVersion":"x.example/v1","data":{"a":"redacted:"},"kind":"Secret","n":"redacted:"}`},
		"anything else": {`{"kind":"ConfigMap","apiVersion":"v1","data":{"a":"x"}}`, `{"kind":"ConfigMap","apiVersion":"v1","data":{"a":"x"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := lookWorld(t, func(s *scripted) {
				s.say(model.AccessAnswer{Object: []byte(c.object)})
				s.end(nil)
			})
			if a := w.call("GET", "/api/v1/applications/web/resource", ""); a.body != c.want {
				t.Errorf("%d %s\nwant %s", a.status, a.body, c.want)
			}
		})
	}
}
