package api

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

// An agent that sends values of Secrets in events has none of them shown.
func TestE06_TestA44_EventsQuoteNoValues(t *testing.T) {
	events := []model.ObjectEvent{
		{Object: model.ObjectKey{Kind: "Secret", Namespace: "n", Name: "s"}, Reason: "CANARY", Message: "it is CANARY"},
		{Object: model.ObjectKey{Kind: "Pod", Namespace: "n", Name: "p"}, Reason: "Failed", Message: `refused {"kind":"Secret","stringData":{"k":"CANARY"}}`},
	}
	for path, answer := range map[string]model.AccessAnswer{
		"events": {Events: events}, "events?follow=true": {Events: events},
		"logs?follow=true": {Notice: &model.LogNotice{Code: "log_broken", Message: `refused {"kind":"Secret","data":{"k":"CANARY"}}`}},
	} {
		w, _ := lookWorld(t, func(s *scripted) { s.say(answer); s.end(nil) })
		if a := w.call("GET", "/api/v1/applications/web/"+path, ""); a.status != 200 || strings.Contains(a.body, "CANARY") || !strings.Contains(a.body, "hidden") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}
