package appspec

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

const (
	plain  = `{"project":"p","source":{"repoURL":"r"},"destination":{"name":"eu"}}`
	filled = `{"project":"p","source":{"repoURL":"r","helm":{"valueFiles":["a","b"],"parameters":[{"name":"x","value":"1"},{"name":"y","value":"2"}],"values":"v","releaseName":"n"},` +
		`"kustomize":{"namePrefix":"p-","images":["web:v1","db=x/db:v1"],"replicas":[{"name":"web","count":2}]},"plugin":{"name":"cue","env":[{"name":"E","value":"1"}]}},` +
		`"destination":{"name":"eu"},"syncPolicy":{"automated":{"prune":true},"syncOptions":["Validate=false","Replace=true"],"retry":{"limit":5}}}`
	several = `{"project":"p","sources":[{"repoURL":"a","name":"one"},{"repoURL":"b"}],"destination":{"name":"eu"}}`
)

func spec(t *testing.T, text string) model.Application {
	t.Helper()
	var a model.Application
	if err := json.Unmarshal([]byte(text), &a.Spec); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestFlagsChangeWhatTheyName(t *testing.T) {
	literal := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(literal, []byte("a: 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from, flags string
		position    int
		want        string // part of the result
		code        string
	}{
		{from: plain, flags: "--repo https://git/y --path d --revision v1 --ref vals --source-name main --tag-prefix x-",
			want: `"source":{"repoURL":"https://git/y","path":"d","targetRevision":"v1","tagPrefix":"x-","ref":"vals","name":"main"}`},
		{from: plain, flags: "--helm-chart nginx --revision 1.x --values a --values b --release-name r --helm-version v3 --ignore-missing-value-files --helm-skip-crds",
			want: `"chart":"nginx","helm":{"valueFiles":["a","b"],"releaseName":"r","version":"v3","ignoreMissingValueFiles":true,"skipCrds":true}`},
		{from: filled, flags: "-p x=9 --helm-set z=3 --helm-set-string y=07 --helm-set-file f=p",
			want: `"parameters":[{"name":"x","value":"9"},{"name":"y","value":"07","forceString":true},{"name":"z","value":"3"}],"releaseName":"n","values":"v","fileParameters":[{"name":"f","path":"p"}]`},
		{from: filled, flags: "--values-literal-file " + literal, want: `"values":"a: 1"`},
		{from: plain, flags: "--values-literal-file /nix/nix", code: "file_unreadable"},
		{from: plain, flags: "--helm-pass-credentials --helm-skip-schema-validation --helm-skip-tests --helm-namespace n --helm-kube-version 1.30 --helm-api-versions a/v1",
			want: `"helm":{"passCredentials":true,"namespace":"n","kubeVersion":"1.30","apiVersions":["a/v1"],"skipTests":true,"skipSchemaValidation":true}`},
		{from: filled, flags: "--kustomize-image web:v2 --kustomize-image db=y/db:v2 --kustomize-image new@sha256:00 --kustomize-replica web=5 --kustomize-replica w2=0 --nameprefix q- --namesuffix -s",
			want: `"kustomize":{"namePrefix":"q-","nameSuffix":"-s","images":["web:v2","db=y/db:v2","new@sha256:00"],"replicas":[{"name":"web","count":5},{"name":"w2","count":0}]}`},
		{from: plain, flags: "--kustomize-replica web=x", code: "usage"},
		{from: plain, flags: "--kustomize-common-label a=b --kustomize-common-annotation c=d --kustomize-force-common-label --kustomize-namespace n --kustomize-component x --ignore-missing-components --kustomize-label-without-selector",
			want: `"commonLabels":{"a":"b"},"commonAnnotations":{"c":"d"},"forceCommonLabels":true,"namespace":"n","components":["x"],"ignoreMissingComponents":true,"labelWithoutSelector":true`},
		{from: plain, flags: "--directory-recurse --directory-include *.yaml --directory-exclude x --jsonnet-tla-str a=b --jsonnet-tla-code c=1 --jsonnet-ext-var-str d=e --jsonnet-libs l",
			want: `"directory":{"recurse":true,"include":"*.yaml","exclude":"x","jsonnet":{"extVars":[{"name":"d","value":"e"}],"tlas":[{"name":"a","value":"b"},{"name":"c","value":"1","code":true}],"libs":["l"]}}`},
		{from: filled, flags: "--config-management-plugin other --plugin-env E=2 --plugin-env F=3 --plugin-parameter g=h",
			want: `"plugin":{"name":"other","env":[{"name":"E","value":"2"},{"name":"F","value":"3"}],"parameters":[{"name":"g","string":"h"}]}`},
		{from: plain, flags: "--jinja-values a.yaml", want: `"jinja":{"valueFiles":["a.yaml"]}`},
		{from: plain, flags: "--dest-server https://x --dest-namespace n --project q --revision-history-limit 3", want: `"destination":{"server":"https://x","namespace":"n"},"revisionHistoryLimit":3`},
		{from: plain, flags: "--sync-policy automated --auto-prune --self-heal --allow-empty", want: `"syncPolicy":{"automated":{"prune":true,"selfHeal":true,"allowEmpty":true}}`},
		{from: filled, flags: "--self-heal --auto-prune=false", want: `"automated":{"selfHeal":true}`},
		{from: filled, flags: "--sync-policy none", want: `"syncPolicy":{"syncOptions"`},
		{from: plain, flags: "--self-heal", code: "usage"},
		{from: plain, flags: "--sync-policy nix", code: "usage"},
		{from: plain, flags: "--sync-policy none", want: `"destination":{"name":"eu"}}`},
		{from: filled, flags: "--sync-option Validate=true --sync-option !Replace --sync-option CreateNamespace=true", want: `"syncOptions":["Validate=true","CreateNamespace=true"]`},
		{from: plain, flags: "--sync-retry-limit 3 --sync-retry-backoff-duration 5s --sync-retry-backoff-factor 2 --sync-retry-backoff-max-duration 1m --sync-retry-refresh",
			want: `"retry":{"limit":3,"backoff":{"duration":"5s","factor":2,"maxDuration":"1m"},"refresh":true}`},
		{from: filled, flags: "--sync-retry-limit 0", want: `"syncOptions":["Validate=false","Replace=true"]}`},
		{from: several, flags: "--path x", code: "source_position_unknown"},
		{from: several, flags: "--path x", position: 2, want: `{"repoURL":"b","path":"x"}`},
		{from: several, flags: "--path x", position: 3, code: "source_position_unknown"},
		{from: several, flags: "--dest-name us", want: `"destination":{"name":"us"}`},
		{from: plain, flags: "--helm-set =1", code: "usage"},
	} {
		var flags Flags
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		flags.Register(f)
		if err := f.Parse(strings.Fields(c.flags)); err != nil {
			t.Fatal(err)
		}
		if !flags.Given() {
			t.Errorf("%s: no flag was given", c.flags)
		}
		a := spec(t, c.from)
		check(t, c.flags, flags.Apply(&a, c.position), a, c.want, c.code)
	}
}

func check(t *testing.T, what string, err error, a model.Application, want, code string) {
	t.Helper()
	if code != "" {
		if !fault.HasCode(err, code) {
			t.Errorf("%s: %v, want %s", what, err, code)
		}
		return
	}
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	got, err := json.Marshal(a.Spec)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(got), want) {
		t.Errorf("%s: got\n%s\nwant\n%s", what, got, want)
	}
}

func TestNoFlagChangesNothing(t *testing.T) {
	for _, from := range []string{plain, filled, several} {
		var flags Flags
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		flags.Register(f)
		flags.RegisterMetadata(f)
		a := spec(t, from)
		before, _ := json.Marshal(a)
		if err := flags.Apply(&a, 0); err != nil || flags.Given() {
			t.Fatal(err, flags.Given())
		}
		if after, _ := json.Marshal(a); string(after) != string(before) {
			t.Errorf("got\n%s\nwant\n%s", after, before)
		}
	}
}

func TestMetadata(t *testing.T) {
	var flags Flags
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.Register(f)
	flags.RegisterMetadata(f)
	if err := f.Parse([]string{"-l", "a=b", "--annotations", "c=d", "--set-finalizer"}); err != nil {
		t.Fatal(err)
	}
	a := spec(t, plain)
	if err := flags.Apply(&a, 0); err != nil || a.Metadata.Labels["a"] != "b" || a.Metadata.Annotations["c"] != "d" || len(a.Metadata.Finalizers) != 1 {
		t.Errorf("%v %+v", err, a.Metadata)
	}
}

func TestUnset(t *testing.T) {
	for _, c := range []struct{ flags, want, code string }{
		{flags: "", code: "usage"},
		{flags: "--values a -p x --values-literal --release-name", want: `"helm":{"valueFiles":["b"],"parameters":[{"name":"y","value":"2"}]}`},
		{flags: "--values a --values b -p x -p y", want: `"helm":{"releaseName":"n","values":"v"}`},
		{flags: "--values nix", code: "override_unknown"},
		{flags: "--kustomize-image web --kustomize-image db --kustomize-replica web --nameprefix", want: `"kustomize":{}`},
		{flags: "--kustomize-image nix", code: "override_unknown"},
		{flags: "--plugin-env E", want: `"plugin":{"name":"cue"}`},
		{flags: "--config-management-plugin", want: `"replicas":[{"name":"web","count":2}]}}`},
		{flags: "--sync-option Replace --sync-retry", want: `"syncOptions":["Validate=false"]}`},
		{flags: "--sync-option nix", code: "override_unknown"},
		{flags: "--sync-policy", want: `"syncPolicy":{"syncOptions"`},
	} {
		var flags Unset
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		flags.Register(f)
		if err := f.Parse(strings.Fields(c.flags)); err != nil {
			t.Fatal(err)
		}
		a := spec(t, filled)
		check(t, c.flags, flags.Apply(&a, 0), a, c.want, c.code)
	}
}
