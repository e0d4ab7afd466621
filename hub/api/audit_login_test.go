package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/audit"
)

// loginWays are all ways to be logged in, and what a login of each leaves.
func loginWays() map[string]func(w *world) (in func() answer, sessions func() int) {
	sessions := func(w *world) func() int {
		return func() int {
			all, err := w.auth.AllSessions(w.t.Context())
			if err != nil {
				w.t.Fatal(err)
			}
			return len(all)
		}
	}
	tokens := func(w *world) func() int {
		return func() int {
			all, err := w.auth.Tokens(w.t.Context())
			if err != nil {
				w.t.Fatal(err)
			}
			return len(all)
		}
	}
	return map[string]func(w *world) (func() answer, func() int){
		"password": func(w *world) (func() answer, func() int) {
			if _, err := w.auth.CreateUser(w.t.Context(), fleet.NewUser{Name: "bea", Password: "correct horse battery"}); err != nil {
				w.t.Fatal(err)
			}
			return func() answer {
				return w.call("POST", "/api/v1/login", `{"username":"bea","password":"correct horse battery"}`, "Authorization:")
			}, sessions(w)
		},
		"first user": func(w *world) (func() answer, func() int) {
			code, err := w.auth.NewLoginCode(w.t.Context())
			if err != nil {
				w.t.Fatal(err)
			}
			return func() answer {
				return w.call("POST", "/api/v1/login", `{"code":"`+code+`","username":"root","password":"correct horse battery"}`, "Authorization:")
			}, sessions(w)
		},
		"first token": func(w *world) (func() answer, func() int) {
			code, err := w.auth.NewLoginCode(w.t.Context())
			if err != nil {
				w.t.Fatal(err)
			}
			return func() answer { return w.call("POST", "/api/v1/login", `{"code":"`+code+`"}`, "Authorization:") }, tokens(w)
		},
		"browser at a provider": func(w *world) (func() answer, func() int) {
			w.withProvider()
			door, cookie := w.atProvider("return=/api/docs")
			return func() answer { return w.call("GET", door, "", "Authorization:", "Cookie: "+cookie) }, sessions(w)
		},
		"command line at a provider": func(w *world) (func() answer, func() int) {
			w.withProvider()
			verifier := strings.Repeat("v", 43)
			sum := sha256.Sum256([]byte(verifier))
			door, cookie := w.atProvider("port=40001&state=" + strings.Repeat("s", 43) + "&challenge=" + base64.RawURLEncoding.EncodeToString(sum[:]))
			to, err := url.Parse(w.call("GET", door, "", "Authorization:", "Cookie: "+cookie).ok(303).header.Get("Location"))
			if err != nil {
				w.t.Fatal(err)
			}
			return func() answer {
				return w.call("POST", "/api/v1/login/sso", `{"code":"`+to.Query().Get("code")+`","verifier":"`+verifier+`"}`, "Authorization:")
			}, sessions(w)
		},
		"device at a provider": func(w *world) (func() answer, func() int) {
			p := w.withProvider()
			var d deviceAnswer
			w.call("POST", "/api/v1/login/device", "", "Authorization:").ok(200).into(&d)
			p.Decide(d.UserCode, true)
			return func() answer {
				return w.call("POST", "/api/v1/login/device/poll", `{"handle":"`+d.Handle+`"}`, "Authorization:")
			}, sessions(w)
		},
	}
}

// A login of each way has its record begun before anybody is logged in, with the
// provider and the subject, and ended after.
func TestALoginIsRecordedBeforeItTakesEffect(t *testing.T) {
	for name, way := range loginWays() {
		t.Run(name, func(t *testing.T) {
			f := &fakeAudit{}
			w := newWorld(t, func(o *Options) { o.Audit = f })
			login, made := way(w)
			before, open := made(), -1
			f.began = func(r audit.Record) {
				open = made()
				if r.Kind != audit.Command || r.Outcome != audit.Unknown || r.Provider == "" || r.ActorID == "" || r.From == "" || r.Action == "" {
					t.Errorf("begun: %+v", r)
				}
			}
			f.take(t)
			if a := login(); a.status >= 400 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if open != before || made() != before+1 {
				t.Errorf("%d before, %d when its record began, %d after", before, open, made())
			}
			got := f.take(t)
			if len(got) != 1 || len(f.open) != 0 {
				t.Fatalf("%d records, %d open: %+v", len(got), len(f.open), got)
			}
			r := got[0]
			if r.Kind != audit.Command || r.Outcome != audit.Done || r.Actor == "" || r.ActorID == "" || r.Provider == "" || r.Subject == "" && !strings.HasPrefix(name, "first") {
				t.Errorf("%+v", r)
			}
		})
	}
}

// Without its record nobody is logged in.
func TestNobodyIsLoggedInWithoutARecord(t *testing.T) {
	for name, way := range loginWays() {
		t.Run(name, func(t *testing.T) {
			f := &fakeAudit{}
			w := newWorld(t, func(o *Options) { o.Audit = f })
			login, made := way(w)
			before := made()
			f.broken = true
			if a := login(); a.status != 503 || strings.Contains(a.header.Get("Set-Cookie"), "hws_") {
				t.Errorf("%d %s", a.status, a.body)
			}
			if made() != before {
				t.Error("somebody is logged in")
			}
		})
	}
}

// A login that fails is recorded with the provider and the subject that are known,
// and without the name that was typed.
func TestALoginThatFailsSaysWhoseItWas(t *testing.T) {
	f := &fakeAudit{}
	w := newWorld(t, func(o *Options) { o.Audit = f })
	u, err := w.auth.CreateUser(t.Context(), fleet.NewUser{Name: "bea", Password: "correct horse battery"})
	if err != nil {
		t.Fatal(err)
	}
	one := func() audit.Record {
		t.Helper()
		got := f.take(t)
		if len(got) != 1 || len(f.open) != 0 {
			t.Fatalf("%d records, %d open: %+v", len(got), len(f.open), got)
		}
		return got[0]
	}
	w.call("POST", "/api/v1/login", `{"username":"bea","password":"wrong"}`, "Authorization:").problem(401, "login_failed")
	if r := one(); r.Kind != audit.Refusal || r.Outcome != audit.Denied || r.Code != "login_failed" || r.Provider != fleet.LocalProvider || r.Subject != u.ID || r.Actor != "" {
		t.Errorf("%+v", r)
	}
	w.call("POST", "/api/v1/login", `{"username":"hunter2","password":"wrong"}`, "Authorization:").problem(401, "login_failed")
	if r := one(); r.Kind != audit.Refusal || r.Subject != "" {
		t.Errorf("%+v", r)
	} else if b, _ := json.Marshal(r); strings.Contains(string(b), "hunter2") {
		t.Errorf("%s", b)
	}
	// A provider vouches for somebody who may not log in.
	p := w.withProvider("admins")
	door, cookie := w.atProvider("")
	f.take(t)
	w.call("GET", door, "", "Authorization:", "Cookie: "+cookie).ok(401)
	if r := one(); r.Kind != audit.Refusal || r.Code != "oidc_not_allowed" || r.Provider != "corp" || r.Subject == "" || r.Actor != "" {
		t.Errorf("%+v", r)
	}
	var d deviceAnswer
	w.call("POST", "/api/v1/login/device", "", "Authorization:").ok(200).into(&d)
	p.Decide(d.UserCode, false)
	f.take(t)
	w.call("POST", "/api/v1/login/device/poll", `{"handle":"`+d.Handle+`"}`, "Authorization:").problem(401, "oidc_device_denied")
	if r := one(); r.Kind != audit.Refusal || r.Provider != "corp" {
		t.Errorf("%+v", r)
	}
}

// What goes on has a record of its beginning and one of its end, which says who or
// what ended it.
func TestRecordsOfWhatGoesOn(t *testing.T) {
	looks := func(t *testing.T, answer func(s *scripted)) (*world, *fakeAudit) {
		f := &fakeAudit{}
		w, _ := lookWorld(t, answer, func(o *Options) { o.Audit = f })
		f.take(t)
		return w, f
	}
	whole := func(s *scripted) { manyLines(s); s.end(nil) }
	ends := func(t *testing.T, f *fakeAudit, action, reason, code string, outcome audit.Outcome) {
		t.Helper()
		await(t, "two records", func() bool { return f.count() >= 2 })
		got := f.take(t)
		if len(got) != 2 || got[0].Kind != audit.Begun || got[1].Kind != audit.Command || got[0].Request != got[1].Request {
			t.Fatalf("%+v", got)
		}
		for _, r := range got {
			if r.Action != action || r.Actor == "" || r.Name != "web" {
				t.Errorf("%+v", r)
			}
		}
		if r := got[1]; !strings.Contains(r.Reason, reason) || r.Code != code || r.Outcome != outcome {
			t.Errorf("%+v; want %q", r, reason)
		}
	}
	t.Run("a log ends by itself", func(t *testing.T) {
		w, f := looks(t, whole)
		w.call("GET", "/api/v1/applications/web/logs?follow=true", "").ok(200)
		ends(t, f, "streamLogs", "ended by itself", "", audit.Done)
	})
	t.Run("a log is read and not followed", func(t *testing.T) {
		w, f := looks(t, whole)
		w.call("GET", "/api/v1/applications/web/logs", "").ok(200)
		if got := f.take(t); len(got) != 0 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a log is not begun without a record", func(t *testing.T) {
		w, f := looks(t, whole)
		f.broken = true
		w.call("GET", "/api/v1/applications/web/logs?follow=true", "").problem(503, "audit_unavailable")
	})
	t.Run("the client of a log leaves", func(t *testing.T) {
		w, f := looks(t, endless)
		follower := w.follow(t, w.serve(t, false), "web/logs?follow=true")
		follower.until("here")
		follower.resp.Body.Close()
		ends(t, f, "streamLogs", "ended by its client", "", audit.Done)
	})
	t.Run("the permission of a log ends", func(t *testing.T) {
		w, f := looks(t, endless)
		follower := w.follow(t, w.serve(t, false), "web/logs?follow=true")
		follower.until("here")
		w.changeApp(func(a *fleet.App) { a.Project = "shop" })
		ends(t, f, "streamLogs", "cut by the hub (permission_revoked)", "permission_revoked", audit.Denied)
	})
	for name, c := range map[string]struct {
		leave        func(w *world, conn *websocket.Conn)
		reason, code string
		outcome      audit.Outcome
	}{
		"by itself": {func(_ *world, conn *websocket.Conn) {
			_ = conn.Write(context.Background(), websocket.MessageBinary, []byte{channelStdEnd})
		}, "ended by itself with exit code 7", "", audit.Done},
		"by its client": {func(_ *world, conn *websocket.Conn) { conn.CloseNow() }, "ended by its client", "", audit.Done},
		"with the permission": {func(w *world, _ *websocket.Conn) {
			w.changeApp(func(a *fleet.App) { a.Project = "shop" })
		}, "cut by the hub (permission_revoked)", "permission_revoked", audit.Denied},
	} {
		t.Run("a command ends "+name, func(t *testing.T) {
			w, f := looks(t, shell)
			conn, _, err := w.dialExec(t, w.serve(t, false), "pod=p&command=sh&stdin=true", ExecProtocol)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			c.leave(w, conn)
			ends(t, f, "execResource", c.reason, c.code, c.outcome)
		})
	}
}
