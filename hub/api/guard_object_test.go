package api

import (
	"encoding/base64"
	"strings"
	"testing"
)

// A live object that an agent did not redact is redacted by the hub, in every shape.
func TestE06_TestA45_LiveObjectsAreRedactedAgain(t *testing.T) {
	for what, text := range map[string]string{
		"Secret":          `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"},"data":{"k":"B64"},"stringData":{"k":"CANARY"}}`,
		"escaped":         `{"apiVersion":"v1","kind":"Secr\u0065t","metadata":{"name":"x"},"data":{"k":"CANARY"}}`,
		"lower case":      `{"apiVersion":"v1","kind":"secret","data":{"k":"CANARY"}}`,
		"custom resource": `{"apiVersion":"example.com/v1","kind":"Secret","spec":{"k":"CANARY"}}`,
		"twice":           `{"apiVersion":"v1","kind":"ConfigMap","kind":"Secret","data":{"k":"CANARY"}}`,
		"List":            `{"apiVersion":"v1","kind":"List","items":[{"kind":"Secret","data":{"k":"CANARY"}}]}`,
		"release of Helm": `{"apiVersion":"v1","kind":"Secret","type":"helm.sh/release.v1","data":{"release":"B64"}}`,
		"last applied":    `{"apiVersion":"v1","kind":"Pod","metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"CANARY"}}}`,
		"within a list":   `{"kind":"List","items":[{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"CANARY"}}}]}`,
		"no map":          `{"apiVersion":"v1","kind":"Secret","data":["CANARY"]}`,
		"not quite a tag": `{"apiVersion":"v1","kind":"Secret","data":{"k":"redacted:CANARY"}}`,
	} {
		text = strings.ReplaceAll(text, "B64", base64.StdEncoding.EncodeToString([]byte("CANARY")))
		out, _, err := guardObject([]byte(text), nil)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		for _, form := range []string{"CANARY", base64.StdEncoding.EncodeToString([]byte("CANARY"))} {
			if strings.Contains(string(out), form) {
				t.Errorf("%s: %s", what, out)
			}
		}
	}
}
