package health

import "github.com/hawser-dev/hawser/shared/model"

// The Gateway API, https://gateway-api.sigs.k8s.io/reference/spec/, and the
// gateways that have APIs of their own. Conditions of the Gateway API carry the
// generation that they are about, and implementations must keep it
// (https://gateway-api.sigs.k8s.io/guides/implementers/#conditions).
var gateways = map[string]family{
	"gateway.networking.k8s.io": {
		"Gateway":          judge(gateway),
		"GatewayClass":     judge(staleCondition("Accepted"), condition3("Accepted")),
		"HTTPRoute":        routeKind,
		"GRPCRoute":        routeKind,
		"TLSRoute":         routeKind,
		"TCPRoute":         routeKind,
		"UDPRoute":         routeKind,
		"BackendTLSPolicy": gatewayPolicy,
		"ListenerSet":      judge(gateway),
		"ReferenceGrant":   exists,
	},
	"gateway.envoyproxy.io": {
		"BackendTrafficPolicy": gatewayPolicy, "ClientTrafficPolicy": gatewayPolicy, "SecurityPolicy": gatewayPolicy,
		"EnvoyExtensionPolicy": gatewayPolicy, "EnvoyPatchPolicy": gatewayPolicy, "EnvoyProxy": exists,
		"Backend": judge(condition3("Accepted"), otherwise(ok, "")),
	},
	"projectcontour.io": { // https://projectcontour.io/docs/main/config/fundamentals/#status-reporting
		"ExtensionService": judge(staleCondition("Valid"), condition3("Valid")),
		// A proxy that includes others is not valid before they are there, and they
		// not before it is: the circle must not hold up a sync.
		"HTTPProxy":                judge(staleCondition("Valid"), only(notEmpty("spec.includes"), when("Valid", no).is(ok)), condition3("Valid")),
		"TLSCertificateDelegation": judge(condition3("Valid"), otherwise(ok, "")),
		"ContourConfiguration":     judge(condition3("Valid"), otherwise(ok, "")),
	},
	"networking.gke.io": {
		"ManagedCertificate": judge(managedDomains, word("status.certificateStatus", words{"Active": ok, "*": inProgress})),
	},
	"cilium.io": {
		"CiliumNetworkPolicy":            judge(condition3("Valid"), otherwise(ok, "")),
		"CiliumClusterwideNetworkPolicy": judge(condition3("Valid"), otherwise(ok, "")),
	},
	"metallb.io": { // https://metallb.universe.tf/apis/: none of them says how it does
		"IPAddressPool": exists, "L2Advertisement": exists, "BGPAdvertisement": exists, "BGPPeer": exists,
		"BFDProfile": exists, "Community": exists, "AddressPool": exists,
		"ServiceL2Status": exists, "ServiceBGPStatus": exists, "BGPSessionStatus": exists,
		"ConfigurationState": judge(word("status.result", words{"Valid": ok, "Invalid": failed, "*": undefined})),
	},
	"nmstate.io": {
		"NodeNetworkConfigurationPolicy": judge(when("Degraded", yes).is(failed), when("Progressing", yes).is(inProgress),
			when("Ignored", yes).is(paused), when("Available", yes).is(ok)),
		"NodeNetworkConfigurationEnactment": judge(when("Failing", yes).is(failed), when("Progressing", yes).is(inProgress),
			when("Aborted", yes).is(failed), when("Available", yes).is(ok)),
	},
	"route.openshift.io":    {"Route": judge(admitted)},
	"operator.openshift.io": {"IngressController": judge(openshiftOperator)},
}

// gatewayConditions judges one set of conditions of the Gateway API.
func gatewayConditions(cs []condition, where string) (model.HealthFacet, bool) {
	for _, typ := range []string{"ResolvedRefs", "Accepted"} {
		for _, c := range cs {
			if c.typ == typ && c.is(no) {
				return say(failed, where+c.text())
			}
		}
	}
	for _, c := range cs {
		if !c.behind && needsPeople(c) {
			return say(failed, where+c.text())
		}
	}
	for _, c := range cs {
		switch {
		case c.behind:
			return say(inProgress, where+waitingForController)
		case c.typ == "Programmed" && !c.is(yes):
			return say(inProgress, where+c.text())
		case c.typ == "Accepted" && !c.is(yes):
			return say(inProgress, where+c.text())
		}
	}
	return nothing()
}

// needsPeople: a listener that is in conflict with another, or is invalid, is not
// programmed before somebody changes it; of a route some rules were dropped, or
// are those of an older generation.
func needsPeople(c condition) bool {
	switch c.typ {
	case "Conflicted", "PartiallyInvalid":
		return c.is(yes)
	case "Programmed":
		return c.is(no) && c.reason == "Invalid"
	}
	return false
}

func gateway(obj map[string]any) (model.HealthFacet, bool) {
	if f, said := gatewayConditions(conditions(obj), ""); said {
		return f, true
	}
	listeners := objects(obj, "status", "listeners")
	for _, l := range listeners {
		if f, said := gatewayConditions(conditionsAt(obj, l, "conditions"), "listener "+str(l, "name")+": "); said {
			return f, true
		}
	}
	if len(conditions(obj)) == 0 && len(listeners) == 0 {
		return nothing()
	}
	return say(ok, "")
}

var routeKind = judge(attached("parents", "parentRef", false, unanswered))

var gatewayPolicy = judge(attached("ancestors", "ancestorRef", true, nil))

// attached judges what is attached to others, each of which says whether it
// takes it. What was said of an older generation does not count: it may be from a
// gateway that the object is no longer meant for. With all, everyone must have
// seen the latest. What would be well is asked waits, which may be nil.
func attached(field, ref string, all bool, waits step) step {
	return func(obj map[string]any) (model.HealthFacet, bool) {
		taken, behind := false, false
		for _, p := range objects(obj, "status", field) {
			cs := conditionsAt(obj, p, "conditions")
			if len(cs) == 0 {
				continue
			}
			where := orElse(str(p, ref, "kind"), "Gateway")
			if anyBehind(cs) {
				behind = true
				continue
			}
			if f, said := gatewayConditions(cs, where+" "+str(p, ref, "name")+": "); said {
				return f, true
			}
			taken = true
		}
		switch {
		case taken && !(behind && all):
			if waits != nil {
				if f, said := waits(obj); said {
					return f, true
				}
			}
			return say(ok, "")
		case behind:
			return say(inProgress, waitingForController)
		}
		return nothing()
	}
}

// unanswered: one of several parents that a route names has not said whether it
// takes the latest of it. A route with one parent is judged by who answers.
func unanswered(obj map[string]any) (model.HealthFacet, bool) {
	refs := objects(obj, "spec", "parentRefs")
	if len(refs) < 2 {
		return nothing()
	}
	namespace := str(obj, "metadata", "namespace")
next:
	for _, ref := range refs {
		for _, p := range objects(obj, "status", "parents") {
			said, _ := at(p, "parentRef").(map[string]any)
			cs := conditionsAt(obj, p, "conditions")
			if len(cs) > 0 && !anyBehind(cs) && sameParent(ref, said, namespace) {
				continue next
			}
		}
		return say(inProgress, orElse(str(ref, "kind"), "Gateway")+" "+str(ref, "name")+" has not answered yet")
	}
	return nothing()
}

// sameParent compares a reference with the one that a status repeats. Some
// implementations fill in what is left out, and some leave out the section or
// the port.
func sameParent(want, said map[string]any, namespace string) bool {
	if str(want, "name") != str(said, "name") ||
		orElse(str(want, "kind"), "Gateway") != orElse(str(said, "kind"), "Gateway") ||
		gatewayGroup(want) != gatewayGroup(said) ||
		differ(orElse(str(want, "namespace"), namespace), orElse(str(said, "namespace"), namespace)) ||
		differ(str(want, "sectionName"), str(said, "sectionName")) {
		return false
	}
	a, aSet := integerOK(want, "port")
	b, bSet := integerOK(said, "port")
	return !aSet || !bSet || a == b
}

// gatewayGroup of a reference: "" is the core group, and none is that of Gateways.
func gatewayGroup(ref map[string]any) string {
	if g, is := at(ref, "group").(string); is {
		return g
	}
	return "gateway.networking.k8s.io"
}

// differ: both are known, and are not the same.
func differ(a, b string) bool { return a != "" && b != "" && a != b }

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func anyBehind(cs []condition) bool {
	for _, c := range cs {
		if c.behind {
			return true
		}
	}
	return false
}

func managedDomains(obj map[string]any) (model.HealthFacet, bool) {
	for _, d := range objects(obj, "status", "domainStatus") {
		if str(d, "status") == "FailedNotVisible" {
			return say(failed, "domain "+str(d, "domain")+" is not visible")
		}
	}
	return nothing()
}

// admitted: each router that a Route of OpenShift is meant for says so.
func admitted(obj map[string]any) (model.HealthFacet, bool) {
	routers := objects(obj, "status", "ingress")
	waiting := len(routers) == 0
	for _, r := range routers {
		seen := false
		for _, c := range conditionsAt(obj, r, "conditions") {
			if c.typ == "Admitted" && c.is(no) {
				return say(failed, "router "+str(r, "routerName")+": "+c.text())
			}
			seen = seen || c.typ == "Admitted" && c.is(yes)
		}
		waiting = waiting || !seen
	}
	if waiting {
		return say(inProgress, "not admitted by a router yet")
	}
	return say(ok, "")
}

// openshiftOperator is how operators of OpenShift speak.
var openshiftOperator = steps(when("Degraded", yes).is(failed), when("DeploymentReplicasAllAvailable", no).is(inProgress),
	when("Progressing", yes).is(inProgress), conditionOK("Available"))

// gloo judges the kinds of gateway.solo.io and gloo.solo.io: a state by the
// namespace of the controller that reports it, or in older versions one alone.
// It is a word, or in older versions a number.
var gloo = judge(func(obj map[string]any) (model.HealthFacet, bool) {
	statuses, _ := at(obj, "status", "statuses").(map[string]any)
	worst, found := model.HealthFacet{}, false
	for _, namespace := range sortedKeys(statuses) {
		s, _ := statuses[namespace].(map[string]any)
		if f, said := glooState(s); said && (!found || f.Status.WorseThan(worst.Status)) {
			worst, found = f, true
		}
	}
	if found {
		return worst, true
	}
	s, _ := at(obj, "status").(map[string]any)
	return glooState(s)
})

func glooState(status map[string]any) (model.HealthFacet, bool) {
	state := str(status, "state")
	if n, is := integerOK(status, "state"); is && n >= 0 && n < 4 {
		state = []string{"Pending", "Accepted", "Rejected", "Warning"}[n]
	}
	switch state {
	case "Accepted":
		return say(ok, "")
	case "Pending":
		return say(paused, "not validated yet")
	case "Warning", "Rejected":
		return say(failed, state+": "+str(status, "reason"))
	}
	return nothing()
}

func glooGroup(string) check { return gloo }
