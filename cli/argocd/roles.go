package argocd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func roleList(i *invocation) error {
	p, err := i.project(i.args[0])
	if err != nil {
		return err
	}
	if done, err := i.print(p.Spec.Roles); done || err != nil {
		return err
	}
	var rows [][]string
	for _, r := range p.Spec.Roles {
		rows = append(rows, []string{r.Name, r.Description})
	}
	return i.table([]string{"ROLE-NAME", "DESCRIPTION"}, rows)
}

// role is the index of a role.
func role(p *model.AppProject, name string) (int, error) {
	n := slices.IndexFunc(p.Spec.Roles, func(r model.ProjectRole) bool { return r.Name == name })
	if n < 0 {
		return n, fault.New(fault.NotFound, "role_unknown", "role '%s' does not exist in project '%s'", name, p.Metadata.Name)
	}
	return n, nil
}

func roleGet(i *invocation) error {
	p, err := i.project(i.args[0])
	if err != nil {
		return err
	}
	n, err := role(&p, i.args[1])
	if err != nil {
		return err
	}
	r := p.Spec.Roles[n]
	fmt.Fprintf(i.Out, "%-15s%s\n%-15s%s\nPolicies:\n%s\nGroups:\n%s\n", "Role Name:", output.Clean(r.Name), "Description:", output.Clean(r.Description),
		output.Clean(strings.Join(r.Policies, "\n")), output.Clean(strings.Join(r.Groups, "\n")))
	return nil
}

func roleChange(i *invocation) error {
	name, verb := i.args[1], strings.TrimPrefix(i.cmd.Path, "proj role ")
	done := ""
	err := i.changeProject(func(p *model.AppProject) error {
		n, err := role(p, name)
		switch {
		case verb == "create" && err == nil:
			fmt.Fprintf(i.Out, "Role '%s' already exists\n", output.Clean(name))
			return errAsItIs
		case verb == "create":
			p.Spec.Roles = append(p.Spec.Roles, model.ProjectRole{Name: name, Description: i.str("description")})
			done = "created"
			return nil
		case verb == "delete" && err != nil:
			fmt.Fprintf(i.Out, "Role '%s' does not exist in project\n", output.Clean(name))
			return errAsItIs
		case err != nil:
			return err
		case verb == "delete":
			p.Spec.Roles = slices.Delete(p.Spec.Roles, n, n+1)
			done = "deleted"
			return nil
		}
		r := &p.Spec.Roles[n]
		if strings.HasSuffix(verb, "-group") {
			if verb == "add-group" {
				return add(&r.Groups, i.args[2])
			}
			return remove(&r.Groups, i.args[2])
		}
		if i.str("action") == "" || i.str("object") == "" {
			return fault.New(fault.Invalid, "usage", "--action and --object are needed")
		}
		policy := fmt.Sprintf("p, proj:%s:%s, %s, %s, %s/%s, %s", p.Metadata.Name, name, i.str("resource"), i.str("action"), p.Metadata.Name, i.str("object"), i.str("permission"))
		if verb == "add-policy" {
			return add(&r.Policies, policy)
		}
		return i.disallow(&r.Policies, policy, "Policy '%s' does not exist in the role\n")
	})
	if err != nil {
		return err
	}
	if done != "" {
		fmt.Fprintf(i.Out, "Role '%s' %s\n", output.Clean(name), done)
	}
	return nil
}
