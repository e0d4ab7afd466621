package health

import (
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// Secrets from elsewhere.
var secrets = map[string]family{
	"external-secrets.io": { // https://external-secrets.io/latest/api/spec/
		"ExternalSecret":        judge(ready),
		"SecretStore":           judge(ready),
		"ClusterSecretStore":    judge(ready),
		"PushSecret":            judge(ready),
		"ClusterPushSecret":     judge(ready),
		"ClusterExternalSecret": judge(lastCondition(words{"Ready": ok, "PartiallyReady": failed, "NotReady": failed})),
	},
	"kubernetes-client.io": {"ExternalSecret": judge(oldExternalSecret)},
	// https://github.com/bitnami-labs/sealed-secrets
	"bitnami.com":        {"SealedSecret": judge(stale, condition3("Synced"))},
	"onepassword.com":    {"OnePasswordItem": judge(ready)},
	"isindir.github.com": {"SopsSecret": judge(word("status.message", words{"Healthy": ok, "*": failed}))},
	"secrets.hashicorp.com": { // https://developer.hashicorp.com/vault/docs/deploy/kubernetes/vso
		"VaultConnection":    vaultValid,
		"VaultAuth":          vaultValid,
		"VaultAuthGlobal":    vaultValid,
		"VaultStaticSecret":  vaultSecret,
		"VaultDynamicSecret": vaultSecret,
		"VaultPKISecret":     vaultSecret,
		"HCPAuth":            vaultValid,
		"HCPVaultSecretsApp": vaultSecret,
	},
	"secrets-store.csi.x-k8s.io": {"SecretProviderClass": exists, "SecretProviderClassPodStatus": exists},
}

var (
	vaultValid  = judge(unset("status.valid", failed, "not valid"), flag("status.valid", ok, ""), ready)
	vaultSecret = judge(unset("status.valid", failed, "not valid"), flag("status.valid", ok, ""), when("Healthy", no).is(failed), ready,
		when("Healthy", yes).is(ok), only(has("status.secretMAC"), otherwise(ok, "")),
		only(has("status.lastGeneration"), otherwise(ok, "")))
)

// lastCondition is for controllers that append what is true now.
func lastCondition(meaning words) step {
	return func(obj map[string]any) (model.HealthFacet, bool) {
		cs := conditions(obj)
		if len(cs) == 0 {
			return nothing()
		}
		c := cs[len(cs)-1]
		h, known := meaning[c.typ]
		switch {
		case !known:
			return nothing()
		case c.is(no) && h == ok:
			return say(failed, c.text())
		case !c.is(yes):
			return say(inProgress, c.text())
		}
		return say(h, c.text())
	}
}

func oldExternalSecret(obj map[string]any) (model.HealthFacet, bool) {
	s := str(obj, "status", "status")
	switch {
	case s == "SUCCESS":
		return say(ok, "")
	case strings.HasPrefix(s, "ERROR"):
		return say(failed, strings.TrimPrefix(s, "ERROR, "))
	}
	return nothing()
}
