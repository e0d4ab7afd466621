package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

// ErrNo is the end of a command whose answer, which was printed, is no.
var ErrNo = errors.New("no")

// Policy asks an RBAC policy from files, as a hub would and without one.
type Policy struct {
	// File has the policy: the ConfigMap argocd-rbac-cm, what hawser settings rbac
	// get prints, or in a file that ends in .csv its lines. "-" is standard input.
	File string
	// Projects are files with AppProjects, whose roles are asked too.
	Projects []string
	// Output is "text" or "json".
	Output string
	// User, Local, Groups and Token say who asks.
	User   string
	Local  bool
	Groups []string
	Token  string
}

// Flags registers the options that both commands have.
func (o *Policy) Flags(f *pflag.FlagSet) {
	f.StringVarP(&o.File, "file", "f", "", "the policy: an argocd-rbac-cm ConfigMap, what hawser settings rbac get prints, or a .csv file; - for standard input")
	f.StringArrayVar(&o.Projects, "project", nil, "file with AppProjects, whose roles count too; may be repeated")
	f.StringVarP(&o.Output, "output", "o", "text", "text or json")
}

// SubjectFlags registers who asks.
func (o *Policy) SubjectFlags(f *pflag.FlagSet) {
	f.StringVar(&o.User, "user", "", "name of the user")
	f.BoolVar(&o.Local, "local", false, "the user is the hub's own, as admin is")
	f.StringArrayVar(&o.Groups, "group", nil, "a group that the user is in; may be repeated")
	f.StringVar(&o.Token, "token", "", "a token of a project's role instead: PROJECT:ROLE")
}

// Test prints whether the policy allows an action. It returns ErrNo when not.
func (o *Policy) Test(args []string, in io.Reader, out, warn io.Writer) error {
	rules, err := o.read(in)
	if err != nil {
		return err
	}
	s := permission.Subject{Name: o.User, Local: o.Local, Groups: o.Groups}
	if o.Token != "" {
		project, role, ok := strings.Cut(strings.TrimPrefix(o.Token, "proj:"), ":")
		if !ok || project == "" || role == "" || o.User != "" || len(o.Groups) > 0 {
			return fault.New(fault.Invalid, "argument_missing", "--token is PROJECT:ROLE, without --user and --group").WithFix("hawser-hub policy test -f policy.csv --token shop:ci applications sync shop/web")
		}
		s = permission.Subject{Project: project, Role: role}
	} else if o.User == "" && len(o.Groups) == 0 {
		return fault.New(fault.Invalid, "argument_missing", "nobody asks: --user, --group or --token says who").WithFix("hawser-hub policy test -f policy.csv --user alice applications sync shop/web")
	}
	for _, w := range rules.Warnings() {
		fmt.Fprintf(warn, "warning: %s: %s (%s)\n", w.Field, w.Message, w.Code)
	}
	verdict := rules.For(s).Can(args[0], args[1], args[2], permission.ProjectOf(args[0], args[2]))
	if o.Output == "json" {
		err = json.NewEncoder(out).Encode(verdict)
	} else {
		answer := "no"
		if verdict.Allowed {
			answer = "yes"
		}
		_, err = fmt.Fprintf(out, "%s: %s\n", answer, verdict.Rule)
	}
	if err == nil && !verdict.Allowed {
		err = ErrNo
	}
	return err
}

// problem of a policy, for programs.
type policyProblem struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Validate prints what is wrong with a policy. It returns ErrNo when a hub would
// not take it.
func (o *Policy) Validate(in io.Reader, out io.Writer) error {
	rules, err := o.read(in)
	var problems fault.List
	if err != nil && !errors.As(err, &problems) {
		return err
	}
	var warnings fault.List
	if rules != nil {
		warnings = rules.Warnings()
	}
	if o.Output == "json" {
		answer := struct {
			Valid    bool            `json:"valid"`
			Problems []policyProblem `json:"problems"`
			Warnings []policyProblem `json:"warnings"`
		}{err == nil, policyProblems(problems), policyProblems(warnings)}
		if e := json.NewEncoder(out).Encode(answer); e != nil {
			return e
		}
	} else {
		for _, p := range problems {
			fmt.Fprintf(out, "error: %s: %s\n", p.Field, p.Message)
		}
		for _, p := range warnings {
			fmt.Fprintf(out, "warning: %s: %s\n", p.Field, p.Message)
		}
		if err == nil {
			fmt.Fprintln(out, "the policy is valid")
		}
	}
	if err != nil {
		return ErrNo
	}
	return nil
}

func policyProblems(all fault.List) []policyProblem {
	out := make([]policyProblem, len(all))
	for i, p := range all {
		out[i] = policyProblem{p.Field, p.Message}
	}
	return out
}

func (o *Policy) read(in io.Reader) (*permission.Rules, error) {
	if o.Output != "text" && o.Output != "json" {
		return nil, fault.New(fault.Invalid, "argument_invalid", "-o is %q; it is text or json", o.Output)
	}
	if o.File == "" {
		return nil, fault.New(fault.Invalid, "argument_missing", "-f names the file with the policy").WithFix("hawser-hub policy validate -f argocd-rbac-cm.yaml")
	}
	b, err := policyFile(o.File, in)
	if err != nil {
		return nil, err
	}
	keys, err := policyKeys(o.File, b)
	if err != nil {
		return nil, err
	}
	var roles []permission.ProjectRole
	for _, file := range o.Projects {
		b, err := policyFile(file, in)
		if err != nil {
			return nil, err
		}
		docs, err := decode.Documents(b)
		if err != nil {
			return nil, err
		}
		for _, d := range docs {
			if d.Err != nil {
				return nil, d.Err
			}
			if d.Project == nil {
				return nil, fault.New(fault.Invalid, "kind_unexpected", "%s has something that is no AppProject", file)
			}
			roles = append(roles, permission.RolesOf(*d.Project)...)
		}
	}
	if err := fleet.CheckRBAC(keys); err != nil {
		return nil, err
	}
	return permission.CompileRules(keys, roles)
}

func policyFile(name string, in io.Reader) ([]byte, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fault.New(fault.Invalid, "file_unreadable", "%s", err)
		}
		defer func() { _ = f.Close() }() // only read
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxApplicationFile+1))
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "file_unreadable", "%s cannot be read", name)
	}
	if len(b) > maxApplicationFile {
		return nil, fault.New(fault.Invalid, "too_large", "%s has more than %d MiB", name, maxApplicationFile>>20)
	}
	return b, nil
}

// policyKeys are the keys of a policy in any of its forms.
func policyKeys(name string, b []byte) (map[string]string, error) {
	if strings.HasSuffix(name, ".csv") {
		return map[string]string{permission.KeyCSV: string(b)}, nil
	}
	var shape struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Metadata   json.RawMessage   `json:"metadata"`
		Data       map[string]string `json:"data"`
		RBAC       map[string]string `json:"rbac"`
		// The rest of what a hub answers is read over.
		Version   json.RawMessage `json:"version"`
		ChangedBy json.RawMessage `json:"changedBy"`
		ChangedAt json.RawMessage `json:"changedAt"`
		Enforced  json.RawMessage `json:"enforced"`
		Problems  json.RawMessage `json:"problems"`
		Versions  json.RawMessage `json:"versions"`
	}
	if err := decode.Into(b, &shape); err != nil {
		return nil, err
	}
	switch {
	case shape.Kind == "ConfigMap" && shape.RBAC == nil:
		return shape.Data, nil
	case shape.Kind == "" && shape.RBAC != nil:
		return shape.RBAC, nil
	}
	return nil, fault.New(fault.Invalid, "kind_unexpected", "%s is no ConfigMap and has no field rbac", name).WithFix("lines alone are read from a file that ends in .csv")
}
