package api

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Every route that takes a cursor refuses one that was made up, changed, or made for
// another list.
func TestS11_CursorsOfEveryRouteAreSealed(t *testing.T) {
	w := newRightsWorld(t)
	w.token = w.as(true)
	o := w.handler.(*Handler).api.opts
	text := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	sealed := o.cursor([]string{"1"}, "another list")
	asked := 0
	for _, r := range Routes() {
		takes := false
		for _, p := range r.Query {
			takes = takes || p.Name == "cursor"
		}
		if r.Method != http.MethodGet || !takes {
			continue
		}
		asked++
		path := "/api/v1" + strings.NewReplacer(":name", "web", ":id", "j1").Replace(r.Path)
		for _, bad := range []string{"x", "1", text("1"), text("1' OR '1'='1"), text(`{"a":["1"]}`), text(strings.Repeat("\x00", 16) + `{"a":["1"]}`), sealed, sealed[:len(sealed)-2], sealed + "AA", strings.Repeat("A", 5000)} {
			if a := w.call("GET", path+"?cursor="+bad, ""); a.status != http.StatusBadRequest || !strings.Contains(a.body, "cursor_invalid") {
				t.Errorf("%s with %.40s: %d %.200s", r.Path, bad, a.status, a.body)
			}
		}
	}
	if asked < 6 {
		t.Errorf("only %d routes take a cursor", asked)
	}
}

// Who may delete a project or a cluster hears of the applications in it that he sees.
func TestA21_ARefusalNamesOnlyWhatIsSeen(t *testing.T) {
	w, _ := newPolicyWorld(t, "p, alice, projects, *, shop, allow\np, alice, clusters, *, eu, allow\np, alice, applications, get, shop/seen, allow\n")
	w.put("shop", "seen")
	alice := w.session("alice")
	for path, seen := range map[string]string{"/api/v1/projects/shop": "in use: seen", "/api/v1/clusters/eu": "you see 1 of them"} {
		a := w.call("DELETE", path, "", alice)
		if a.status != http.StatusPreconditionFailed && a.status != http.StatusConflict && a.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
		if !strings.Contains(a.body, "_in_use") || !strings.Contains(a.body, seen) || strings.Contains(a.body, `web`) || strings.Contains(a.body, " 2 ") {
			t.Errorf("%s: %s", path, a.body)
		}
	}
}

// A policy that takes a right away ends what was begun with it: lines of logs, and a
// command that runs. The times are those of the product.
func TestA27_LogsAndCommandsEndWithThePolicy(t *testing.T) {
	const all = "p, alice, applications, get, shop/*, allow\np, alice, logs, get, shop/*, allow\np, alice, exec, create, shop/*, allow\n"
	for name, after := range map[string]string{
		"the right": "p, alice, applications, get, shop/*, allow\n", "everything": "", "a denial": all + "p, alice, logs, *, */*, deny\np, alice, exec, *, */*, deny\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			looking := func(answer func(*scripted)) (*world, *cluster) {
				k := &cluster{answer: answer}
				w, _ := newPolicyWorld(t, all, func(o *Options) { o.Access, o.AllowExec, o.Now = k, true, time.Now })
				_, w.token, _ = strings.Cut(w.session("alice"), "Bearer ")
				return w, k
			}
			logs, logsAt := looking(endless)
			f := logs.follow(t, logs.serve(t, true), "web/logs?follow=true")
			f.until("here")
			commands, commandsAt := looking(shell)
			conn, _, err := commands.dialExec(t, commands.serve(t, false), "pod=p&command=sh&stdin=true", ExecProtocol)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			begun := time.Now()
			logs.putPolicy(map[string]string{"policy.csv": after})
			commands.putPolicy(map[string]string{"policy.csv": after})
			f.until(`{"end":{"type":"urn:hawser:problem:permission_revoked`)
			if c, text := readExec(t, conn); c != channelEnd || !strings.Contains(text, "permission_revoked") {
				t.Errorf("channel %d says %s", c, text)
			}
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("that took %s", took)
			}
			await(t, "the streams to the agent to be closed", func() bool { return logsAt.open() == 0 && commandsAt.open() == 0 })
		})
	}
}
