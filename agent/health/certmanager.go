package health

// cert-manager, https://cert-manager.io/docs/reference/api-docs/. Its conditions
// carry the generation that they are about.
var certManager = map[string]family{
	"cert-manager.io": {
		// A renewal says Issuing while the old certificate is still Ready, and the
		// first issuing says Ready=False: both are on their way.
		"Certificate":   judge(staleCondition("Ready"), when("Issuing", yes).is(inProgress), ready),
		"Issuer":        judge(staleCondition("Ready"), ready),
		"ClusterIssuer": judge(staleCondition("Ready"), ready),
		"CertificateRequest": judge(when("Denied", yes).is(failed), when("InvalidRequest", yes).is(failed),
			when("Ready", no).because("Pending").is(inProgress), ready),
	},
	"acme.cert-manager.io": {
		"Order": judge(word("status.state", words{"valid": ok, "ready": inProgress, "pending": inProgress, "processing": inProgress,
			"invalid": failed, "expired": failed, "errored": failed})),
		"Challenge": judge(word("status.state", words{"valid": ok, "ready": inProgress, "pending": inProgress, "processing": inProgress,
			"invalid": failed, "expired": failed, "errored": failed})),
	},
	"certmanager.k8s.io": { // before version 0.11
		"Certificate":   judge(ready),
		"Issuer":        judge(ready),
		"ClusterIssuer": judge(ready),
	},
	"trust.cert-manager.io": {"Bundle": judge(condition3("Synced"))},
}
