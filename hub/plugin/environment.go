package plugin

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// environment is what a source gives to the commands, by Argo CD's rules: the
// build environment; the source's variables as ARGOCD_ENV_NAME, in whose values
// $NAME and ${NAME} of the build environment are replaced; its parameters as JSON
// in ARGOCD_APP_PARAMETERS and one by one as PARAM_NAME. secret are the names
// whose values stay out of messages.
func environment(run Run) (env map[string]string, secret []string) {
	env = map[string]string{}
	for name, value := range run.Env {
		env[name] = value
	}
	set := func(name, value string) {
		env[name] = value
		if secretName.MatchString(name) {
			secret = append(secret, name)
		}
	}
	for _, e := range run.Options.Env {
		set("ARGOCD_ENV_"+e.Name, os.Expand(e.Value, func(name string) string {
			if name == "$" {
				return "$"
			}
			return run.Env[name]
		}))
	}
	parameters := run.Options.Parameters
	if parameters == nil {
		parameters = []model.PluginParameter{}
	}
	if text, err := json.Marshal(parameters); err == nil { // which text, lists and maps of text always are
		env["ARGOCD_APP_PARAMETERS"] = string(text)
	}
	for _, p := range parameters {
		name := "PARAM_" + variable(p.Name)
		if p.String != nil {
			set(name, *p.String)
		}
		for i, v := range p.Array {
			set(name+"_"+strconv.Itoa(i), v)
		}
		for k, v := range p.Map {
			set(name+"_"+variable(k), v)
		}
	}
	slices.Sort(secret)
	return env, secret
}

// secretName are names whose values nobody should read in a message.
var secretName = regexp.MustCompile(`(?i)(TOKEN|SECRET|PASSW|PASSPHRASE|PWD|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE|AUTH|_KEY$)`)

var notVariable = regexp.MustCompile(`[^A-Za-z0-9_]`)

// variable makes the name of an environment variable of the name of a parameter.
func variable(name string) string {
	return strings.ToUpper(notVariable.ReplaceAllString(name, "_"))
}
