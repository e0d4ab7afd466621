package metrics

import (
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/telemetry/exposition"
)

// maxLabels that may be told of each application.
const maxLabels = 10

// CheckLabels refuses labels of applications that cannot be told, or not told apart.
// flag is what they were given with.
func CheckLabels(flag string, labels []string) error {
	if len(labels) > maxLabels {
		return fault.New(fault.Invalid, "config_invalid", "%s is given %d times; %d labels of applications can be told", flag, len(labels), maxLabels).WithField(flag)
	}
	seen := map[string]string{}
	for i, name := range labelNames(labels) {
		if labels[i] == "" {
			return fault.New(fault.Invalid, "config_invalid", "%s names no label", flag).WithField(flag)
		}
		if other, twice := seen[name]; twice {
			return fault.New(fault.Invalid, "config_invalid", "%s: %s and %s are both called %s in metrics", flag, other, labels[i], name).WithField(flag).
				WithFix("name one of them")
		}
		seen[name] = labels[i]
	}
	return nil
}

// labelNames are what labels of Kubernetes are called in Prometheus, where names
// have fewer characters.
func labelNames(labels []string) []string {
	out := make([]string, len(labels))
	for i, l := range labels {
		out[i] = "label_" + strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
				return r
			}
			return '_'
		}, l)
	}
	return out
}

func (c *collector) collectLabels(gauge gauging, a *Application) {
	if c.labels == nil {
		return
	}
	values, any := []string{a.Name, a.Project, a.Cluster}, false
	for _, l := range c.from.Labels {
		v, has := a.Labels[l]
		any = any || has
		if len(v) > 64 { // Kubernetes takes 63
			v = exposition.Other
		}
		values = append(values, v)
	}
	if any {
		gauge(c.labels, 1, values...)
	}
}
