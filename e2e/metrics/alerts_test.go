package metrics

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// rules is a Prometheus rule file.
type rules struct {
	Groups []struct {
		Name  string `json:"name"`
		Rules []struct {
			Alert       string            `json:"alert"`
			Expr        string            `json:"expr"`
			For         string            `json:"for,omitempty"`
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
		} `json:"rules"`
	} `json:"groups"`
}

var (
	metricName = regexp.MustCompile(`\bhawser_[a-z0-9_]+`)
	selector   = regexp.MustCompile(`(hawser_[a-z0-9_]+)\{([^}]*)\}`)
	labelName  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)\s*"`)
	duration   = regexp.MustCompile(`^[0-9]+(s|m|h|d)$`)
	used       = regexp.MustCompile(`\$labels\.([a-z_]+)`)
)

// wanted are the alerts that everybody needs.
var wanted = []string{"HawserAgentDown", "HawserManyAgentsDown", "HawserAppDegraded", "HawserAppDriftedUnhealed", "HawserSyncFailing",
	"HawserObservationLagHigh", "HawserCertExpiring", "HawserRepoUnreachable", "HawserHubDown", "HawserDatabaseBusy",
	"HawserCacheTampered", "HawserAuditExportBehind", "HawserCacheUnreachable"}

// TestAlertsNameWhatExists holds docs/alerts.yaml to the metrics and their labels.
func TestAlertsNameWhatExists(t *testing.T) {
	b, err := os.ReadFile(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	var file rules
	if err := yaml.UnmarshalStrict(b, &file); err != nil {
		t.Fatal(err)
	}
	exist := names(t)
	var seen []string
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			seen = append(seen, r.Alert)
			if r.Expr == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" || r.For != "" && !duration.MatchString(r.For) {
				t.Errorf("%s is not complete", r.Alert)
			}
			for _, pair := range []string{"()", "{}", "[]"} {
				if strings.Count(r.Expr, pair[:1]) != strings.Count(r.Expr, pair[1:]) {
					t.Errorf("%s: %s do not match", r.Alert, pair)
				}
			}
			if strings.Count(r.Expr, `"`)%2 != 0 {
				t.Errorf("%s: a string is not closed", r.Alert)
			}
			found := metricName.FindAllString(r.Expr, -1)
			if len(found) == 0 && !strings.Contains(r.Expr, "up{") {
				t.Errorf("%s asks for no metric", r.Alert)
			}
			var labels []string
			for _, name := range found {
				m, ok := exist[name]
				if !ok {
					t.Errorf("%s: there is no metric %s", r.Alert, name)
				}
				labels = append(labels, m.labels...)
			}
			for _, s := range selector.FindAllStringSubmatch(r.Expr, -1) {
				for _, l := range labelName.FindAllStringSubmatch(s[2], -1) {
					if !slices.Contains(exist[s[1]].labels, l[1]) {
						t.Errorf("%s: %s has no label %s", r.Alert, s[1], l[1])
					}
				}
			}
			for _, text := range r.Annotations {
				for _, l := range used.FindAllStringSubmatch(text, -1) {
					if !slices.Contains(labels, l[1]) && l[1] != "instance" && l[1] != "job" {
						t.Errorf("%s: nothing that it asks for has the label %s", r.Alert, l[1])
					}
				}
			}
		}
	}
	for _, name := range wanted {
		if !slices.Contains(seen, name) {
			t.Errorf("there is no alert %s", name)
		}
	}
}
