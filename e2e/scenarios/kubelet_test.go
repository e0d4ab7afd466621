package scenarios

import (
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdKubelet is what happens in containers of the cluster eu.
func cmdKubelet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || args[0] == "say" && len(args) < 4 {
		usage(ts, "kubelet say|restart [NS/]POD CONTAINER LINE…")
	}
	s := of(ts)
	namespace, pod, ok := strings.Cut(args[1], "/")
	if !ok {
		namespace, pod = s.name, args[1]
	}
	switch args[0] {
	case "say":
		s.kubelet.Say(namespace, pod, args[2], args[3:]...)
	case "restart":
		s.kubelet.Restart(namespace, pod, args[2])
	default:
		usage(ts, "kubelet say|restart [NS/]POD CONTAINER LINE…")
	}
}
