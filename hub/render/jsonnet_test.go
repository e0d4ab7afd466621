package render

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestJsonnetRendersInWorkers(t *testing.T) {
	r := newRenderer(t, Options{Workers: 1})
	snap := snapshotOf(map[string]string{
		"app/a.jsonnet":   "local k = import 'k.libsonnet'; function(who) [k.cm(std.extVar('env') + '-' + who), k.cm('second')]",
		"lib/k.libsonnet": "{ cm(name):: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: name } } }", "app/b.yaml": configMap("plain"), "other/x": "1",
	})
	src := model.Source{Path: "app", Directory: &model.DirectoryOption{Jsonnet: &model.JsonnetOptions{
		Libs: []string{"lib"}, ExtVars: []model.JsonnetVar{{Name: "env", Value: "$ARGOCD_APP_NAME"}}, TLAs: []model.JsonnetVar{{Name: "who", Value: "'x' + 1", Code: true}},
	}}}
	req := Request{AppName: "web", Source: src, Snapshot: snap}
	res, err := r.Render(t.Context(), req)
	if err != nil || names(res.Objects) != "plain second web-x1" || res.Tool != "Directory" {
		t.Fatalf("%q %v", names(res.Objects), err)
	}
	var origins []string
	for _, o := range res.Objects {
		origins = append(origins, o.Origin)
	}
	if got := strings.Join(origins, " "); got != "app/b.yaml#1 app/a.jsonnet#1.items[1] app/a.jsonnet#1.items[0]" {
		t.Error(got)
	}
	req.PreviousKey = res.Key
	for change, unchanged := range map[string]bool{"other/x": true, "lib/k.libsonnet": false, "app/k.libsonnet": false} {
		changed := req
		changed.Snapshot = snap.with(change, "{ cm(name):: { apiVersion: 'v1', kind: 'Secret', metadata: { name: name } } }")
		if res, err := r.Render(t.Context(), changed); err != nil || res.Unchanged != unchanged {
			t.Errorf("%s: unchanged %v, %v", change, res.Unchanged, err)
		}
	}
	_, err = r.Render(t.Context(), Request{Source: model.Source{Path: "app", Directory: &model.DirectoryOption{}}, Snapshot: snap})
	if e := fault.As(err); e == nil || e.Code != "jsonnet_error" || !strings.HasPrefix(e.Message, "app/a.jsonnet: Missing argument: who") {
		t.Error(err)
	}
}
