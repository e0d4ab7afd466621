package manifest

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

var guardedSecret = model.ObjectKey{Kind: "Secret", Namespace: "shop", Name: "db-1"}

// Texts in which somebody quotes a value of a Secret.
func TestE06_TestA44_TestP13_TextsQuoteNoValues(t *testing.T) {
	for _, text := range []string{
		`Secret "db-1" is invalid: data[password]: Invalid value: "CANARY": must be base64`,
		`the password is CANARY`,
		`password=CANARY`,
		`data: CANARY, B64`,
		`admission webhook "x.example.org" denied the request: 'CANARY' is weak`,
	} {
		text = filled(text)
		leaks(t, text, GuardText(guardedSecret, text))
		leaks(t, "in lower case: "+text, GuardText(model.ObjectKey{Group: "vault.example", Kind: "secret", Name: "db-1"}, text))
	}
	// About another object, or nothing.
	for _, text := range []string{
		`cannot apply {"apiVersion":"v1","kind":"Secret","stringData":{"k":"CANARY"}}`,
		`cannot apply {"stringData":{"k":"CANARY"},"kind":"Secret"}`,
		`cannot apply "{\"data\":{\"k\":\"B64\"},\"kind\":\"Secret\"}"`,
		`cannot apply {"items":[{"data":{"k":"B64"}}],"kind":"SecretList"}`,
		"cannot apply\nstringData:\n  k: CANARY\nkind: Secret\n",
		`metadata.annotations[kubectl.kubernetes.io/last-applied-configuration]: Invalid value: "CANARY"`,
		`Secret "db-1" is invalid: data[k]: Invalid value: "CANARY \" CANARY": no`,
		`stringData.k: Unsupported value: "CANARY`,
	} {
		text = filled(text)
		leaks(t, text, GuardText(model.ObjectKey{}, text))
		leaks(t, text, GuardText(model.ObjectKey{Kind: "ConfigMap"}, text))
	}
}

func filled(text string) string {
	return strings.NewReplacer("CANARY", canary, "B64", "Q0FOQVJZLWI3UXg=").Replace(text)
}

// What says nothing of a value stays as it is.
func TestTextsThatQuoteNothingStay(t *testing.T) {
	for _, text := range []string{
		"", "created", "unchanged", "it belongs to application \"shop-web\"", `the cluster refuses Secret "db-1" in namespace "shop" (at data.password; values hidden)`,
		"resource_owned_by: another application has it", "not permitted by project \"shop\".", "Secret shop/db-1 is pruned",
	} {
		if strings.Contains(text, "(at data.password; values hidden)") {
			if got := GuardText(guardedSecret, text); !strings.Contains(got, `Secret "db-1" in namespace "shop"`) || !strings.Contains(got, "values hidden)") {
				t.Errorf("%q: %q", text, got)
			}
			continue
		}
		if got := GuardText(guardedSecret, text); got != text {
			t.Errorf("%q: %q", text, got)
		}
	}
	for _, text := range []string{
		"Back-off restarting failed container app in pod web-7f9c", `Deployment "web" is invalid: spec.replicas: Invalid value: "x": must be a number`,
		`MountVolume.SetUp failed for volume "v" : secret "db-1" not found`, "1/2 ready", `{"kind":"ConfigMap","data":{"a":"b"}}`, "two\nlines  and  blanks",
	} {
		if got := GuardText(model.ObjectKey{Kind: "Pod"}, text); got != text {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// What is not looked at closely has nothing that a close look would find, in whatever
// letters: to an expression that ignores case the Kelvin sign is a k, and a long s an s.
func TestE06_TheQuickLookAtATextMissesNothing(t *testing.T) {
	for _, text := range []string{
		`{"kind":"Secret","data":{"k":"CANARY"}}`, `{"KIND":"SECRET","data":{"k":"CANARY"}}`, "{\"\u212aind\":\"\u017fecret\",\"x\":\"CANARY\"}",
		`LAST-APPLIED-CONFIGURATION CANARY`, "la\u017ft-applied-configuration CANARY", `DATA: Invalid value: "CANARY"`, `stringData[k]: Invalid value: "CANARY"`,
		"plain", "", "it is updated", "déjà vu",
	} {
		text = strings.ReplaceAll(text, "CANARY", canary)
		leaks(t, text, GuardText(model.ObjectKey{Kind: "Pod"}, text))
		whole, quoted := suspect(text)
		if wholeSecret.MatchString(text) && !whole || quotedValue.MatchString(text) && !quoted {
			t.Errorf("%q is not suspected", text)
		}
	}
}

// FuzzGuardText: whatever a text is, a quoted Secret is not in what is left of it.
func FuzzGuardText(f *testing.F) {
	f.Add("a", "b", true)
	f.Fuzz(func(t *testing.T, before, after string, secret bool) {
		key := model.ObjectKey{}
		if secret {
			key = guardedSecret
		}
		if strings.Contains(before+after, canary) {
			t.Skip()
		}
		if got := GuardText(key, before+`{"kind":"Secret","data":{"k":"`+canary+`"}}`+after); strings.Contains(got, canary) {
			t.Error(got)
		}
	})
}
