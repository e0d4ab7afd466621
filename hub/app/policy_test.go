package app

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const rbacConfigMap = `apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-rbac-cm, namespace: argocd}
data:
  policy.default: role:readonly
  policy.csv: |
    p, role:dev, applications, sync, shop/*, allow
    p, role:dev, applications, sync, shop/prod, deny
    g, dev, role:dev
`

const roleProject = `apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: shop}
spec:
  roles:
  - {name: ci, policies: ["p, proj:shop:ci, applications, sync, shop/web, allow"], groups: [builders]}
`

func TestPolicyFromFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"cm.yaml": rbacConfigMap, "project.yaml": roleProject, "lines.csv": "p, alice, applications, get, */*, allow\n",
		"rbac.yaml": "rbac: {policy.csv: 'p, alice, applications, get, */*, allow'}\n", "bad.csv": "p, alice\nx\n", "doubt.csv": "p, alice, application, get, */*, allow\n",
		"key.yaml": "rbac: {policy.csvv: ''}\n", "app.yaml": application("source: {repoURL: https://x, path: a}"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(o Policy, args string) (string, string, error) {
		if o.File != "-" {
			o.File = filepath.Join(dir, o.File)
		}
		for i := range o.Projects {
			o.Projects[i] = filepath.Join(dir, o.Projects[i])
		}
		if o.Output == "" {
			o.Output = "text"
		}
		var out, warn bytes.Buffer
		err := o.Test(strings.Fields(args), strings.NewReader(rbacConfigMap), &out, &warn)
		return out.String(), warn.String(), err
	}
	for _, c := range []struct {
		o           Policy
		args, out   string
		no          bool
		warned, err string
	}{
		{o: Policy{File: "cm.yaml", User: "alice"}, args: "applications get shop/web", out: "yes: built-in line 2: p, role:readonly, applications, get, */*, allow (asked as role:readonly)\n"},
		{o: Policy{File: "-", User: "alice", Groups: []string{"dev"}}, args: "applications sync shop/web", out: "yes: policy.csv line 1: p, role:dev, applications, sync, shop/*, allow (asked as dev)\n"},
		{o: Policy{File: "cm.yaml", User: "alice", Groups: []string{"dev"}, Output: "json"}, args: "applications sync shop/prod", no: true,
			out: `{"allowed":false,"rule":"policy.csv line 2: p, role:dev, applications, sync, shop/prod, deny (asked as dev)"}` + "\n"},
		{o: Policy{File: "cm.yaml", User: "alice", Output: "json"}, args: "exec create shop/web", no: true,
			out: `{"allowed":false,"rule":"no rule allows create of exec \"shop/web\" to role:readonly, alice"}` + "\n"},
		{o: Policy{File: "cm.yaml", User: "admin", Local: true}, args: "clusters delete eu", out: "yes: built-in line 12: p, role:admin, *, *, *, allow (asked as admin)\n"},
		{o: Policy{File: "cm.yaml", Projects: []string{"project.yaml"}, Token: "shop:ci"}, args: "applications sync shop/web",
			out: "yes: project shop, role ci, policy 1: p, proj:shop:ci, applications, sync, shop/web, allow (asked as proj:shop:ci)\n"},
		{o: Policy{File: "cm.yaml", Projects: []string{"project.yaml"}, Token: "proj:shop:ci"}, args: "applications sync bank/web", no: true,
			out: "no: no rule allows sync of applications \"bank/web\" to proj:shop:ci\n"},
		{o: Policy{File: "cm.yaml", Projects: []string{"project.yaml"}, Groups: []string{"builders"}}, args: "projects get shop", out: "yes: built-in line 7: p, role:readonly, projects, get, *, allow (asked as role:readonly)\n"},
		{o: Policy{File: "lines.csv", User: "alice"}, args: "applications get a/b", out: "yes: policy.csv line 1: p, alice, applications, get, */*, allow (asked as alice)\n"},
		{o: Policy{File: "rbac.yaml", User: "alice"}, args: "applications get a/b", out: "yes: policy.csv line 1: p, alice, applications, get, */*, allow (asked as alice)\n"},
		{o: Policy{File: "doubt.csv", User: "alice"}, args: "application get a/b", out: "yes: policy.csv line 1: p, alice, application, get, */*, allow (asked as alice)\n", warned: "did you mean \"applications\"?"},
		{o: Policy{File: "cm.yaml"}, args: "applications get a/b", err: "nobody asks"},
		{o: Policy{File: "cm.yaml", Token: "shop"}, args: "applications get a/b", err: "PROJECT:ROLE"},
		{o: Policy{File: "cm.yaml", Token: "shop:ci", User: "x"}, args: "applications get a/b", err: "PROJECT:ROLE"},
		{o: Policy{File: "bad.csv", User: "x"}, args: "applications get a/b", err: "line 1: a p line has 6 parts"},
		{o: Policy{File: "key.yaml", User: "x"}, args: "applications get a/b", err: "is no key"},
		{o: Policy{File: "app.yaml", User: "x"}, args: "applications get a/b", err: "unknown field"},
		{o: Policy{File: "cm.yaml", Projects: []string{"app.yaml"}, User: "x"}, args: "applications get a/b", err: "is no AppProject"},
		{o: Policy{File: "gone.csv", User: "x"}, args: "applications get a/b", err: "no such file"},
		{o: Policy{File: "cm.yaml", User: "x", Output: "yaml"}, args: "applications get a/b", err: "text or json"},
	} {
		out, warned, err := run(c.o, c.args)
		if out != c.out || errors.Is(err, ErrNo) != c.no || !strings.Contains(warned, c.warned) || (warned == "") != (c.warned == "") {
			t.Errorf("%+v %s: %q, %q, %v", c.o, c.args, out, warned, err)
		}
		if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) || c.err == "" && !c.no && err != nil {
			t.Errorf("%+v %s: %v", c.o, c.args, err)
		}
	}
	for _, c := range []struct {
		file, output, want string
		no                 bool
	}{
		{"cm.yaml", "text", "the policy is valid\n", false},
		{"cm.yaml", "json", `{"valid":true,"problems":[],"warnings":[]}` + "\n", false},
		{"bad.csv", "text", "error: policy.csv: line 1: a p line has 6 parts (p, subject, resource, action, object, allow or deny), not \"p, alice\"\nerror: policy.csv: line 2 begins with \"x\"; lines begin with p or g\n", true},
		{"bad.csv", "json", `{"valid":false,"problems":[{"field":"policy.csv","message":"line 1: a p line`, true},
		{"doubt.csv", "text", "warning: policy.csv: line 1: the resource \"application\" is unknown; did you mean \"applications\"?\nthe policy is valid\n", false},
	} {
		var out bytes.Buffer
		err := (&Policy{File: filepath.Join(dir, c.file), Output: c.output}).Validate(nil, &out)
		if !strings.HasPrefix(out.String(), c.want) || errors.Is(err, ErrNo) != c.no || !c.no && err != nil {
			t.Errorf("%s: %q, %v", c.file, out.String(), err)
		}
	}
}
