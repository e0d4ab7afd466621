package diff

import (
	"encoding/json"
	"testing"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestRespect(t *testing.T) {
	desired := deployHead + "spec: {replicas: 2, paused: true, template: {spec: {containers: [{name: a, image: x}]}}}"
	liveYAML := deployHead + "spec: {replicas: 5, template: {spec: {containers: [{name: a, image: q}]}}}"
	managers := []live.FieldManager{other("hpa", `{"f:spec":{"f:replicas":{}}}`)}
	cases := []struct {
		name string
		rule model.IgnoreDifferences
		want string
	}{
		{"other object", model.IgnoreDifferences{Group: "apps", Kind: "StatefulSet", JSONPointers: []string{"/spec/replicas"}}, `{"paused":true,"replicas":2,"template":{"spec":{"containers":[{"image":"x","name":"a"}]}}}`},
		{"pointer", model.IgnoreDifferences{Group: "apps", Kind: "Deployment", JSONPointers: []string{"/spec/replicas", "/spec/nothing", "/spec/replicas/x"}}, `{"paused":true,"replicas":5,"template":{"spec":{"containers":[{"image":"x","name":"a"}]}}}`},
		{"not there live", model.IgnoreDifferences{Group: "apps", Kind: "Deployment", JSONPointers: []string{"/spec/paused"}}, `{"replicas":2,"template":{"spec":{"containers":[{"image":"x","name":"a"}]}}}`},
		{"in a list", model.IgnoreDifferences{Group: "apps", Kind: "Deployment", JSONPointers: []string{"/spec/template/spec/containers/0/image", "/spec/template/spec/containers/7/image"}}, `{"paused":true,"replicas":2,"template":{"spec":{"containers":[{"image":"q","name":"a"}]}}}`},
		{"jq", model.IgnoreDifferences{Group: "apps", Kind: "Deployment", JQPathExpressions: []string{".spec.template.spec.containers[].image", ".["}}, `{"paused":true,"replicas":2,"template":{"spec":{"containers":[{"image":"q","name":"a"}]}}}`},
		{"manager", model.IgnoreDifferences{Group: "apps", Kind: "Deployment", ManagedFieldsManagers: []string{"hpa"}}, `{"paused":true,"replicas":5,"template":{"spec":{"containers":[{"image":"x","name":"a"}]}}}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := object(t, desired)
			got, err := json.Marshal(Respect(d, body(t, liveYAML), managers, []model.IgnoreDifferences{c.rule})["spec"])
			if err != nil || string(got) != c.want {
				t.Errorf("got  %s (%v)\nwant %s", got, err, c.want)
			}
			again, err := json.Marshal(d)
			if err != nil || string(again) != string(body(t, desired)) {
				t.Error("the desired object was modified")
			}
		})
	}
}
