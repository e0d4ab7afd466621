package argocd

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/hawser-dev/hawser/cli/config"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/telemetry"
)

// login takes an API token, or the hub's one-time code, as the password.
func login(i *invocation) error {
	argv := []string{"login", i.args[0]}
	for _, f := range []string{"name", "ca-hash"} {
		if v := i.str(f); v != "" {
			argv = append(argv, "--"+f+"="+v)
		}
	}
	s := i.Streams
	if p := i.str("password"); p != "" {
		s.In = strings.NewReader(p + "\n")
		argv = append(argv, map[bool]string{true: "--with-token", false: "--code-stdin"}[strings.HasPrefix(p, "hwt_")])
	} else if !s.Terminal {
		return fault.New(fault.Invalid, "login_needs_code", "there is no terminal to ask for the login code").WithFix("add --password with an API token, or with the hub's one-time code")
	}
	return i.hawser(s, argv...)
}

func contexts(i *invocation) error {
	if len(i.args) == 1 {
		return i.hawser(i.Streams, "context", "use", i.args[0])
	}
	file, err := config.Load()
	if err != nil {
		return fault.New(fault.Invalid, "config_invalid", "%s", err)
	}
	var rows [][]string
	for _, c := range file.Contexts {
		rows = append(rows, []string{map[bool]string{true: "*"}[c.Name == file.Current], c.Name, strings.TrimPrefix(c.URL, "https://")})
	}
	return i.table([]string{"CURRENT", "NAME", "SERVER"}, rows)
}

// canI asks the hub about one verb; yes and no are answers, not errors.
func canI(i *invocation) error {
	verb, resource, object := i.args[0], i.args[1], i.args[2]
	in := map[string]any{"verb": verb}
	switch project, name, ok := strings.Cut(object, "/"); {
	case resource != "applications":
		return fault.New(fault.Unprocessable, "resource_unsupported", "can-i is about applications here").WithFix("what is no application's is for administrators: argocd account get-user-info")
	case ok && name == "*":
		in["project"] = project
	case ok:
		in["name"] = name
	case object != "*":
		in["name"] = object
	default:
		return i.canAll(verb)
	}
	var got struct {
		Allowed bool `json:"allowed"`
	}
	if err := i.api.Do(i.ctx, http.MethodPost, "/explain", in, &got); err != nil {
		return err
	}
	fmt.Fprintln(i.Out, map[bool]string{true: "yes", false: "no"}[got.Allowed])
	return nil
}

// canAll answers about every application: yes when each project that is seen allows it.
func (i *invocation) canAll(verb string) error {
	yes, cursor := true, ""
	for first := true; yes && (first || cursor != ""); first = false {
		var page struct {
			Items      []model.AppProject `json:"items"`
			NextCursor string             `json:"nextCursor"`
		}
		if err := i.api.Get(i.ctx, "/projects?"+url.Values{"limit": {"500"}, "cursor": {cursor}}.Encode(), &page); err != nil {
			return err
		}
		yes = !first || len(page.Items) > 0
		for _, p := range page.Items {
			var got struct {
				Allowed bool `json:"allowed"`
			}
			if err := i.api.Do(i.ctx, http.MethodPost, "/explain", map[string]any{"verb": verb, "project": p.Metadata.Name}, &got); err != nil {
				return err
			}
			if yes = yes && got.Allowed; !yes {
				break
			}
		}
		if page.NextCursor == cursor {
			break // the hub does not go on
		}
		cursor = page.NextCursor
	}
	fmt.Fprintln(i.Out, map[bool]string{true: "yes", false: "no"}[yes])
	return nil
}

func userInfo(i *invocation) error {
	var who struct {
		Name string `json:"name"`
	}
	if err := i.api.Get(i.ctx, "/whoami", &who); err != nil {
		return err
	}
	if done, err := i.print(map[string]any{"loggedIn": true, "username": who.Name, "iss": "hawser", "groups": []string{}}); done || err != nil {
		return err
	}
	fmt.Fprintf(i.Out, "Logged In: true\nUsername: %s\nIssuer: hawser\nGroups: \n", output.Clean(who.Name))
	return nil
}

func version(i *invocation) error {
	server := ""
	if !i.yes("client") {
		api, err := i.connect()
		var got struct {
			Version string `json:"version"`
		}
		if err == nil {
			err = api.Get(i.ctx, "/version", &got)
		}
		if err != nil {
			return err
		}
		server = got.Version
	}
	if done, err := i.print(map[string]any{"client": map[string]any{"Version": telemetry.Version}, "server": map[string]any{"Version": server}}); done || err != nil {
		return err
	}
	fmt.Fprintf(i.Out, "argocd: %s (hawser)\n", telemetry.Version)
	if server != "" {
		fmt.Fprintf(i.Out, "argocd-server: %s\n", output.Clean(server))
	}
	return nil
}
