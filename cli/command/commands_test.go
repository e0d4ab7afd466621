package command

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

const (
	webApp = `{"uid":"u","name":"web","project":"shop","cluster":"eu","namespace":"shop-web","repoURL":"https://git/x","path":"deploy","targetRevision":"main",
"desired":{"commit":"0123456789012345678901234567890123456789","message":"say hello"},"generation":3,
"sync":{"status":"OutOfSync","reason":"Drift"},"health":{"status":"Healthy"},"freshness":"live","observedAt":"2026-01-02T03:04:05Z",
"revision":"0123456789012345678901234567890123456789",
"conditions":[{"type":"Warning","code":"held","message":"look\u001b[2J here"}],
"resources":[
 {"group":"apps","kind":"Deployment","namespace":"shop-web","name":"web","version":"v1","uid":"d1","sync":{"status":"OutOfSync"},"health":{"status":"Healthy"},
  "differences":[{"path":".spec.replicas","desired":"2","live":"5","manager":"kubectl"}]},
 {"kind":"ConfigMap","namespace":"shop-web","name":"old","version":"v1","sync":{"status":"OutOfSync"},"health":{"status":""},"requiresPruning":true},
 {"kind":"Service","namespace":"shop-web","name":"new","version":"v1","sync":{"status":"OutOfSync"},"health":{"status":"Missing"}}],
"history":[{"id":7,"generation":3,"revision":"0123456789012345678901234567890123456789","deployedAt":"2026-01-02T03:04:05Z","initiatedBy":"ana"}],
"application":` + webSpec + `}`
	webSpec    = `{"apiVersion":"hawser.dev/v1alpha1","kind":"Application","metadata":{"name":"web","uid":"u","resourceVersion":"4","generation":4},"spec":{"project":"shop","source":{"repoURL":"https://git/x","path":"deploy","helm":{"parameters":[{"name":"a","value":"1"}]}},"destination":{"name":"eu","namespace":"shop-web"}}}`
	doneOp     = `{"id":"op-1","appUID":"u","app":"web","kind":"sync","phase":"Succeeded","message":"3 applied","createdAt":"2026-01-02T03:04:05Z","initiatedBy":"ana","spec":{},"result":{"resources":[{"kind":"Service","namespace":"n","name":"s","status":"Created"}]}}`
	rollbackOp = `{"id":"op-1","appUID":"u","app":"web","kind":"sync","phase":"Queued","spec":{"rollback":{"historyID":6}}}`
	queuedOp   = `{"id":"op-1","appUID":"u","app":"web","kind":"sync","phase":"Queued","message":"eu is away","spec":{}}`
	deleteOp   = `{"id":"op-2","appUID":"u","app":"web","kind":"delete","phase":"Queued","spec":{"cascade":true}}`
	orphanOp   = `{"id":"op-2","appUID":"u","app":"web","kind":"delete","phase":"Succeeded","spec":{},"amendments":[{"what":"approve-deletions","by":"bob","at":"2026-01-02T03:04:05Z"},{"what":"orphan","by":"ana\u001b[2J","at":"2026-01-02T03:04:06Z"},{"what":"terminate","by":"eve","at":"2026-01-02T03:04:07Z"}]}`
	eu         = `{"id":"id-eu","name":"eu","connected":true,"aliases":["https://eu:6443"],"labels":{"b":"2","a":"1"},"applications":4,"settingsVersion":12,"conditions":["Careful"],"unknownApplications":[{"name":"lost","project":"shop","generation":9}]}`
	webSet     = `{"apiVersion":"argoproj.io/v1alpha1","kind":"ApplicationSet","metadata":{"name":"web"},"spec":{"generators":[{"list":{}}],"template":{"metadata":{"name":"x"},"spec":{"project":"shop","destination":{}}}},"status":{"conditions":[{"message":"stored"}]}}`
	argoApp    = `{"apiVersion":"argoproj.io/v1alpha1","kind":"Application","metadata":{"name":"fresh","namespace":"argocd"},"spec":{"project":"shop","source":{"repoURL":"https://git/x","path":"."},"destination":{"server":"https://far:6443"}}}`
	project    = `{"apiVersion":"hawser.dev/v1alpha1","kind":"AppProject","metadata":{"name":"shop"},"spec":{"sourceRepos":["*"],"description":"the shop"}}`
	repo       = `{"id":"r1","url":"https://git/x","type":"git","name":"x","state":"ok","project":"shop","credential":{"kinds":["password"],"username":"bot","insecure":["insecureSkipVerify"]}}`
	repoTest   = `{"step":{"name":"dns","ok":true,"detail":"192.0.2.1","milliseconds":1.54}}
{"step":{"name":"tls","ok":true,"detail":"TLS 1.3\u001b[2J","milliseconds":120.4}}
{"test":{"url":"https://git/x","type":"git","credential":"template","template":"https://git","ok":true,"steps":[{"name":"dns","ok":true,"milliseconds":1.54}]}}
`
	template      = `{"id":"t1","url":"https://git/team","project":"shop","credential":{"kinds":["password"],"username":"bot"}}`
	fleetSettings = `{"version":3,"changedBy":"ana","changedAt":"2026-01-02T03:04:05Z","customizations":{"resource.customizations.health.X":"return {}"},
"clusters":{"current":4,"behind":30,"behindNames":["us"]},"versions":[{"version":3,"changedBy":"ana","changedAt":"2026-01-02T03:04:05Z"}]}`
	fleetChange = `{"version":4,"result":"configured","changes":[{"key":"resource.customizations.health.X","change":"changed","before":"a\nb\nd\n","after":"a\nc\nd\n"},{"key":"resource.compareoptions","change":"added","after":"\u001b[2Jx"}],
"unused":[{"key":"url","why":"it is not about resources"},{"key":"resource.x","why":"unknown","resource":true}]}`
	asOf = `,"asOf":"2026-01-02T03:04:05Z"}`
)

// everythingElse are the answers of other files of tests.
var everythingElse map[string]answer

// more are further ones, one map of a file.
var more []map[string]answer

func everything() map[string]answer {
	all := mostly()
	for _, answers := range append(more, everythingElse) {
		maps.Copy(all, answers)
	}
	return all
}

func mostly() map[string]answer {
	return map[string]answer{
		"GET /whoami":                          {200, `{"name":"ana"}`},
		"POST /logout":                         {204, ""},
		"GET /version":                         {200, `{"version":"9.9.9"}`},
		"GET /hub":                             {200, `{"hubID":"h1","holdDeletes":true}`},
		"POST /hub/acknowledge-restore":        {204, ""},
		"POST /login":                          {200, `{"token":"hwt_CANARY2"}`},
		"POST /enrolment-tokens":               {201, `{"token":"hwe_1","cluster":"eu","expiresAt":"2099-01-01T00:00:00Z","hub":"hub:1","helm":"helm install --set token.value=hwe_1","command":"hawser-agent --token hwe_1"}`},
		"GET /enrolment-tokens":                {200, `{"items":[{"id":"tok","cluster":"new","createdBy":"ana","createdAt":"2026-01-02T03:04:05Z","expiresAt":"2099-01-01T00:00:00Z"},{"id":"old","cluster":"gone","createdAt":"2026-01-02T03:04:05Z","expiresAt":"2026-01-02T03:04:06Z"},{"id":"used","cluster":"eu","createdAt":"2026-01-02T03:04:05Z","expiresAt":"2099-01-01T00:00:00Z","usedAt":"2026-01-02T03:04:05Z","usedFrom":"192.0.2.1"}]` + asOf},
		"DELETE /enrolment-tokens/tok":         {204, ""},
		"GET /clusters":                        {200, `{"items":[` + eu + `]` + asOf},
		"GET /clusters/eu":                     {200, eu},
		"GET /clusters/eu/diagnosis":           {200, `{"cluster":"eu","state":"connected","healthy":true,"causes":[],"queued":{"items":[]}}`},
		"PUT /clusters/eu/aliases":             {200, eu},
		"PUT /clusters/eu/labels":              {200, eu},
		"PUT /clusters/eu/kubectl":             {200, eu},
		"POST /clusters/eu/revoke":             {200, eu},
		"POST /clusters/eu/allow":              {200, eu},
		"DELETE /clusters/eu":                  {204, ""},
		"GET /settings/customizations":         {200, fleetSettings},
		"PUT /settings/customizations":         {200, fleetChange},
		"GET /projects":                        {200, `{"items":[` + project + `]` + asOf},
		"GET /projects/shop":                   {200, project},
		"PUT /projects/shop":                   {201, project},
		"DELETE /projects/shop":                {204, ""},
		"POST /projects/shop/preview":          {200, `{"project":"shop","applications":1}`},
		"GET /projects/shop/usage":             {200, `{"project":"shop","applications":3}`},
		"POST /explain":                        {200, `{"allowed":true,"question":"deploy","project":"shop","checks":[]}`},
		"GET /repositories":                    {200, `{"items":[` + repo + `]` + asOf},
		"POST /repositories":                   {201, repo},
		"DELETE /repositories/r1":              {204, ""},
		"POST /repositories/test":              {200, repoTest},
		"GET /repository-templates":            {200, `{"items":[` + template + `]` + asOf},
		"POST /repository-templates":           {201, template},
		"DELETE /repository-templates/t1":      {204, ""},
		"GET /applicationsets":                 {200, `{"items":[` + webSet + `]` + asOf},
		"GET /applicationsets/web":             {200, webSet},
		"PUT /applicationsets/web":             {201, webSet},
		"DELETE /applicationsets/web":          {204, ""},
		"POST /apply":                          {200, `{"items":[{"kind":"Application","name":"web","result":"created"}]}`},
		"GET /applications":                    {200, `{"items":[` + strings.Replace(webApp, `"name":"web",`, `"name":"web","labels":{"env":"prod"},`, 1) + `],"nextCursor":"n"` + asOf},
		"GET /applications?cursor=n&limit=500": {200, `{"items":[{"name":"second","freshness":"stale","sync":{"status":"Synced"},"health":{"status":"Healthy"}}]` + asOf},
		"GET /applications?cursor=n&limit=500&project=shop&selector=a%3Db": {200, `{"items":[{"name":"second","freshness":"stale"}]` + asOf},
		"GET /applications/web":                                {200, webApp},
		"PUT /applications/web":                                {201, webApp},
		"DELETE /applications/web":                             {202, deleteOp},
		"POST /applications/web/sync":                          {202, queuedOp},
		"POST /applications/web/refresh":                       {202, ""},
		"POST /applications/web/rollback":                      {202, rollbackOp},
		"DELETE /applications/web/pin":                         {200, `{"historyID":7,"setAside":{"commit":"fedcba9876543210fedcba9876543210fedcba98"}}`},
		"POST /applications/web/confirm-deletion":              {202, queuedOp},
		"GET /applications/web/operations?open=true":           {200, `{"items":[]` + asOf},
		"DELETE /applications/web/pin?reason=it_was_the_cache": {200, `{"revision":{"commit":"0123456789012345678901234567890123456789"},"setAside":{"commit":"fedcba9876543210fedcba9876543210fedcba98"}}`},
		"POST /applications/web/terminate":                     {200, strings.Replace(queuedOp, "Queued", "Terminated", 1)},
		"POST /applications/web/actions":                       {202, queuedOp},
		"GET /applications/web/resource-actions":               {200, `{"items":[{"name":"restart","displayName":"Restart"},{"name":"scale","disabled":true,"params":["replicas"]}]` + asOf},
		"GET /applications/web/tree":                           {200, `{"nodes":[{"group":"apps","kind":"Deployment","namespace":"n","name":"web","uid":"d","version":"v1","health":{"status":"Healthy"}},{"kind":"Pod","namespace":"n","name":"web-1","uid":"p","version":"v1","parentUIDs":["d"],"health":{"status":""},"info":[{"name":"ready","value":"1/1 ready"}]}],"truncated":true,"orphaned":[{"kind":"Secret","namespace":"n","name":"left","uid":"o","version":"v1","health":{"status":""},"info":[{"name":"tracked by","value":"tracked by argo"}]}],"orphanedTotal":300}`},
		"GET /applications/web/plugin-parameters":              {200, `{"items":[{"source":1,"plugin":"cue","parameters":[{"name":"env","title":"Environment","required":true,"collectionType":"array","array":["eu","us"]}]}]` + asOf},
		"GET /applications/web/resource":                       {200, `{"apiVersion":"v1","kind":"Secret","metadata":{"uid":"u-1"},"data":{"a":"redacted:0123"}}`},
		"DELETE /applications/web/resource":                    {202, queuedOp},
		"GET /applications/web/events":                         {200, `{"items":[{"uid":"1","type":"Warning","reason":"BackOff","message":"again\u001b[2J","count":3,"lastSeen":"2026-01-02T03:04:05Z","object":{"kind":"Pod","namespace":"n","name":"web-1"}}]` + asOf},
		"GET /applications/web/logs":                           {200, someLogs},
		"GET /jobs":                                            {200, `{"items":[{"id":"job-1","kind":"sync","phase":"Finished","initiatedBy":"ana","createdAt":"2026-01-31T11:00:00Z","total":3,"accepted":2,"failed":1}],"total":1,"asOf":"2026-01-31T12:00:00Z"}`},
		"GET /jobs/job-1":                                      {200, `{"id":"job-1","kind":"sync","phase":"Finished","initiatedBy":"ana","createdAt":"2026-01-31T11:00:00Z","total":3,"accepted":2,"failed":1,"items":[{"number":1,"application":"web","phase":"Accepted","operation":"op-1","operationPhase":"Succeeded"},{"number":2,"application":"nope","phase":"Failed","code":"application_not_found","message":"there is none"},{"number":3,"application":"api","phase":"Accepted","operation":"op-2","operationPhase":"Succeeded"}]}`},
		"POST /jobs/job-1/cancel":                              {200, `{"id":"job-1","kind":"sync","phase":"Finished","initiatedBy":"ana","createdAt":"2026-01-31T11:00:00Z","total":3,"accepted":2,"failed":1}`},
		"GET /operations":                                      {200, `{"items":[` + doneOp + `]` + asOf},
		"GET /operations/op-1":                                 {200, doneOp},
		"GET /operations/op-2":                                 {200, strings.Replace(doneOp, "op-1", "op-2", 1)},
		"POST /operations/op-1/terminate":                      {200, strings.Replace(queuedOp, "Queued", "Terminated", 1)},
	}
}

// commandCase is one line that a person types.
type commandCase struct {
	args     string
	in       string
	code     int
	out, err string
	asked    string // something that the hub must have been asked
}

var commandCases = []commandCase{
	{args: "whoami", out: "ana\n"},
	{args: "auth whoami", out: "ana\n"},
	{args: "version", out: "hub    9.9.9\n"},
	{args: "hub status", out: "hubID: h1\n"},
	{args: "hub acknowledge-restore", err: "the restore is acknowledged", asked: "POST /hub/acknowledge-restore"},
	{args: "context list", out: "CURRENT  NAME  HUB  USER\n"},
	{args: "context use nix", code: 3, err: "(context_unknown)"},
	{args: "cluster enroll eu", code: 6, err: "add --yes"},
	{args: "cluster enrolment list", out: "new      Pending  in "},
	{args: "cluster enrolment list --all -o wide", out: "eu       Used"},
	{args: "cluster enrolment list -o name", out: "enrolment/tok\n"},
	{args: "cluster enrolment delete tok", err: "nobody can enrol", asked: "DELETE /enrolment-tokens/tok"},
	{args: "cluster enroll eu -y -l a=b", out: "helm install --set token.value=hwe_1\n", err: "Run this where", asked: `"labels":{"a":"b"}`},
	{args: "cluster kubectl eu --enable", err: `kubectl goes through the hub to cluster "eu"`, asked: `PUT /clusters/eu/kubectl {"enabled":true}`},
	{args: "cluster kubectl eu --disable", err: `kubectl does not go through the hub to cluster "eu"`, asked: `PUT /clusters/eu/kubectl {"enabled":false}`},
	{args: "cluster kubectl eu", code: 2, err: "say one of --enable and --disable"},
	{args: "cluster kubeconfig eu", out: "/k8s/clusters/eu\n", err: "hawser cluster kubectl eu --enable"},
	{args: "cluster kubeconfig eu --merge --file x", code: 2, err: "exclude each other"},
	{args: "cluster list", out: "eu    Connected  never  4\n"},
	{args: "cluster list -o wide", out: "a=1,b=2"},
	{args: "cluster list --show-labels", out: "a=1,b=2\n"},
	{args: "cluster list --show-labels -o wide", out: "NODES  ALIASES          ID     LABELS\n"},
	{args: "cluster list -L example.com/tier", out: "  TIER\n"},
	{args: "app list --show-labels", out: "env=prod\n", err: "1 stale"},
	{args: "app list -L env", out: "OPERATION  ENV\n", err: "1 stale"},
	{args: "cluster list -o name", out: "cluster/eu\n"},
	{args: "cluster wait eu --timeout 50ms", code: ExitTimeout, err: `timed out before cluster "eu" had reported`},
	{args: "cluster get eu", out: "Settings:      version 12\nCondition:     Careful\n"},
	{args: "cluster get eu", out: "Unknown app:   lost (project shop, generation 9): held by the agent"},
	{args: "cluster alias eu https://new", err: `https://new now means cluster "eu"`, asked: `PUT /clusters/eu/aliases {"aliases":["https://eu:6443","https://new"]}`},
	{args: "cluster alias eu https://eu:6443 --remove", err: `does not mean cluster "eu" any more`, asked: `{"aliases":[]}`},
	{args: "cluster label eu added=yes", err: `cluster "eu" labelled`, asked: `"added":"yes"`},
	{args: "cluster alias eu https://nix --remove", code: 3, err: "(alias_unknown)"},
	{args: "cluster allow eu", err: "gets in when it tries next", asked: "POST /clusters/eu/allow"},
	{args: "cluster revoke eu", err: "has no access any more", asked: "POST /clusters/eu/revoke"},
	{args: "cluster delete eu", err: "forgotten", asked: "DELETE /clusters/eu"},
	{args: "appset list", out: "NAME  PROJECT  GENERATORS  STATUS\nweb   shop     list        stored\n"},
	{args: "appset get web", out: "project: shop\n"},
	{args: "appset create -f -", in: webSet, err: `application set "web" stored`},
	{args: "appset delete web", err: `application set "web" deleted; no application was touched`},
	{args: "export", out: "apiVersion: hawser.dev/v1alpha1\nkind: AppProject\nmetadata:\n  name: shop\n"},
	{args: "export --format argocd --kind projects -p shop", out: "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata:\n  name: shop\n  namespace: argocd\n"},
	{args: "export --kind repositories", out: "  password: '<fill in: secrets are not exported>'\n"},
	{args: "export --kind x", code: 2, err: "allowed: projects"},
	{args: "export --format x", code: 2, err: "neither argocd nor hawser"},
	{args: "import argocd plan -f -", in: argoApp, code: 1, out: "1 apps, 0 projects, 0 appsets, 0 repos, 0 clusters → 0 ready, 1 need attention\n"},
	{args: "import argocd plan -f -", in: argoApp, code: 1, out: "    → hawser cluster enroll far-6443 --alias https://far:6443\n"},
	{args: "import argocd -f -", in: argoApp, code: 1, out: "0 ready, 1 need attention"},
	{args: "import argocd plan -f - -o json", in: argoApp, code: 1, out: `"path": "spec.destination.server"`},
	{args: "import argocd plan", code: 2, err: "--from-context"},
	{args: "import argocd apply -f -", in: strings.Replace(argoApp, "far", "eu", 1), out: "application/web created\n1 created, 0 configured, 0 unchanged, 0 failed, 0 left out\n", asked: `"hawser.dev/mode":"observe"`},
	{args: "import argocd apply -f - --mode manage", in: strings.Replace(argoApp, "far", "eu", 1), out: "application/web created\n"},
	{args: "import argocd apply -f - --mode x", in: argoApp, code: 2, err: "neither observe nor manage"},
	{args: "import argocd apply -f /nowhere", code: 3, err: "(file_not_found)"},
	{args: "import argocd status", out: "NAME", err: "parity: 0/0 identical"},
	{args: "import argocd handover --app web", code: 6, err: "(application_not_imported)"},
	{args: "import argocd handover shop", code: 3, err: "(application_not_found)"},
	{args: "import argocd handover", code: 2, err: "name projects"},
	{args: "import argocd rollback shop", code: 3, err: "(application_not_found)"},
	{args: "import argocd finish shop", err: "nothing to finish"},
	{args: "import status", out: "NAME", err: "parity: 0/0 identical"},
	{args: "import handover --app web", code: 6, err: "(application_not_imported)"},
	{args: "import rollback shop", code: 3, err: "(application_not_found)"},
	{args: "import finish shop", err: "nothing to finish"},
	{args: "project list", out: "shop  1        0             the shop\n"},
	{args: "project get shop", out: "description: the shop\n"},
	{args: "project get shop -o name", out: "project/shop\n"},
	{args: "project create shop -s * -d eu*,n -d https://x,n", err: `project "shop" created`, asked: `"name":"eu*"`},
	{args: "project create shop -d eu", code: 2, err: "(destination_invalid)"},
	{args: "project allow source shop https://git/y", err: `project "shop" saved`, asked: `"sourceRepos":["*","https://git/y"]`},
	{args: "project allow dest shop eu,shop", err: "saved", asked: `"namespace":"shop"`},
	{args: "project allow kind shop Namespace", err: "saved", asked: `"clusterResourceWhitelist"`},
	{args: "project allow sa shop *,*,deployer", err: "saved", asked: `"defaultServiceAccount":"deployer"`},
	{args: "project deny source shop https://git/y", err: "saved", asked: `"sourceRepoBlacklist":["https://git/y"]`},
	{args: "project deny dest shop eu,kube-*", err: "saved", asked: `"destinationBlacklist":[{"name":"eu","namespace":"kube-*"}]`},
	{args: "project deny kind shop Secret", err: "saved", asked: `"namespaceResourceBlacklist"`},
	{args: "project apply", code: 2, err: "nothing to apply"},
	{args: "project edit nobody", code: 3, err: "nothing at /projects/nobody"},
	{args: "project usage shop", out: "Applications:  3\n", asked: "/projects/shop/usage"},
	{args: "project simulate shop --source https://git/x", out: "✓ Allowed: deploy\n", asked: `"sources":["https://git/x"]`},
	{args: "project window list shop", out: "ID"},
	{args: "project window add shop -k deny --duration 1h", code: 2, err: "spec.syncWindows[0].schedule"},
	{args: "project window update shop 1", code: 3, err: "(window_not_found)"},
	{args: "project window delete shop 1", code: 3, err: "(window_not_found)"},
	{args: "project role list shop", out: "NAME"},
	{args: "project delete shop", err: `project "shop" deleted`, asked: "DELETE /projects/shop"},
	{args: "repo add https://git/x --password-stdin --username bot", in: "CANARY\n", err: "repository https://git/x added", asked: `{"url":"https://git/x","username":"bot","password":"CANARY"}`},
	{args: "repo add https://git/x --type helm --name charts --project shop --insecure-skip-tls-verify", err: "warning: whatever TLS certificate the server shows is taken",
		asked: `{"url":"https://git/x","type":"helm","name":"charts","project":"shop","insecureSkipVerify":true}`},
	{args: "repo add https://git/x --known-hosts-file /nix/nix", code: 2, err: "error: HW-2017 --known-hosts-file: open /nix/nix: no such file or directory (file_unreadable)"},
	{args: "repo add https://git/x --password-stdin --password-file x", code: 2, err: "exclude each other"},
	{args: "repo add https://git/x --password-stdin", code: 2, err: "(password_empty)"},
	{args: "repo add https://git/x --password CANARY", code: 2, err: "unknown flag"},
	{args: "repo add https://git/x --proxy http://u:CANARY@proxy:3128", code: 2, err: "give it with --proxy-file"},
	{args: "repo list", out: "https://git/x  git   ok     never    shop     password\n"},
	{args: "repo list -o wide", out: "x     insecureSkipVerify  r1\n"},
	{args: "repo list -o name", out: "repo/https://git/x\n"},
	{args: "repo get x", out: "Credential:  password\nUsername:    bot\nInsecure:    insecureSkipVerify\n"},
	{args: "repo get https://GIT/x.git -o name", out: "repo/https://git/x\n"},
	{args: "repo test https://git/x", out: "✓ dns          1.5 ms  192.0.2.1\n✓ tls          120 ms  TLS 1.3\uFFFD[2J\n", err: "https://git/x answers, with the credential template https://git", asked: `POST /repositories/test {"url":"https://git/x"}`},
	{args: "repo remove https://git/x", err: "repository https://git/x removed", asked: "DELETE /repositories/r1"},
	{args: "repo remove https://git/x --force", err: "repository https://git/x removed", asked: "DELETE /repositories/r1?force=true"},
	{args: "repo remove https://nix", code: 3, err: "(repository_unknown)"},
	{args: "repocreds add https://git/team --password-stdin --project shop", in: "CANARY\n", err: "credential template https://git/team added", asked: `POST /repository-templates {"url":"https://git/team","project":"shop","password":"CANARY"}`},
	{args: "repocreds list", out: "https://git/team  shop     password    bot\n"},
	{args: "repocreds list -o name", out: "repocreds/https://git/team\n"},
	{args: "repocreds remove https://git/team/", err: "credential template https://git/team removed", asked: "DELETE /repository-templates/t1"},
	{args: "repocreds remove https://git/team --project nix", code: 3, err: "(repository_template_unknown)"},
	{args: "apply -f -", in: "kind: Application", out: "app/web created\n", asked: "POST /apply kind: Application"},
	{args: "apply -f - -o name", in: "kind: Application", out: "app/web\n"},
	{args: "apply", code: 2, err: "nothing to apply"},
	{args: "apply -f /nix/nix", code: 3, err: "(file_not_found)"},
	{args: "app list", out: "OutOfSync (Drift)  Healthy  ", err: "2 · 1 stale"},
	{args: "app list -p shop -l a=b", code: 0, out: "second", err: "2 · 1 stale", asked: "project=shop&selector=a%3Db"},
	{args: "app list -o name", out: "app/web\napp/second\n"},
	{args: "app get web", out: "Condition:  Warning held: look\uFFFD[2J here\n"},
	{args: "app get web --refresh -o name", out: "app/web\n", asked: "POST /applications/web/refresh"},
	{args: "app get app/web -o name", out: "app/web\n"},
	{args: "app create web --repo https://git/x --path p --dest-name eu --sync-policy automated --self-heal --directory-recurse", err: `application "web" created`, asked: `"selfHeal":true`},
	{args: "app create web --self-heal", code: 2, err: "--auto-prune and --self-heal need"},
	{args: "app create web --sync-policy nix", code: 2, err: "is not known"},
	{args: "app sync web --prune", out: "sync web: Succeeded  3 applied\n", asked: `POST /applications/web/sync {"prune":true}`},
	{args: "app sync web --async -o name", out: "operation/op-1\n", err: "accepted as operation op-1"},
	{args: "app sync web --confirm-prune 0 --async", out: "sync web: Queued", err: "accepted", asked: `"confirmPrune":0`},
	{args: "app sync web --resource apps:Deployment:web --resource !:Secret:* --strategy apply --force --replace --server-side --apply-out-of-sync-only --sync-option Validate=false --reason hotfix --revision 0123456 --approve-deletions",
		out: "Succeeded", asked: `POST /applications/web/sync {"revision":"0123456","syncOptions":["Validate=false","Force=true","Replace=true","ServerSideApply=true","ApplyOutOfSyncOnly=true"],"resources":["apps:Deployment:web","!:Secret:*"],"skipHooks":true,"approveDeletions":true,"reason":"hotfix"}`},
	{args: "app sync web --retry-limit 3 --retry-backoff-duration 5s --retry-backoff-factor 2 --retry-backoff-max-duration 1m", out: "Succeeded",
		asked: `POST /applications/web/sync {"retry":{"limit":3,"backoff":{"duration":"5s","factor":2,"maxDuration":"1m"}}}`},
	{args: "app sync web --retry-backoff-duration 5s", code: 2, err: "a backoff needs retries"},
	{args: "app sync web --strategy nix", code: 2, err: "is not known"},
	{args: "app sync web --wait=false", out: "Queued", err: "accepted as operation op-1"},
	{args: "app rollback web", out: "sync web: Succeeded  3 applied\n", asked: "POST /applications/web/rollback {}"},
	{args: "app rollback web 6 --reason x --prune --async", out: "rollback web: Queued\n", err: `rollback of "web" accepted as operation op-1`,
		asked: `POST /applications/web/rollback {"historyID":6,"reason":"x","prune":true}`},
	{args: "app rollback web six", code: 2, err: `"six" is not the number of a deployment`},
	{args: "app rollback web 0", code: 2, err: `"0" is not the number of a deployment`},
	{args: "app rollback", code: 2, err: "takes 2 arguments (NAME [ID]), got 0"},
	{args: "app unpin web", err: `"web" is not pinned to deployment 7 any more; fedcba98 is wanted again`, asked: "DELETE /applications/web/pin"},
	{args: "app unpin web --reason it_was_the_cache", err: `"web" is not pinned to 01234567 any more; fedcba98 is wanted again`, asked: "DELETE /applications/web/pin?reason=it_was_the_cache"},
	{args: "app confirm-deletion web --confirm-prune 3 --reason old", out: "Succeeded", err: `"web" is synced and prunes`, asked: `POST /applications/web/confirm-deletion {"kind":"sync","confirmPrune":3,"reason":"old"}`},
	{args: "app confirm-deletion web --kind action", code: 2, err: "(usage)"},
	{args: "app confirm-deletion web --kind delete", code: 3, err: "(operation_not_found)"},
	{args: "app terminate web", out: "Terminated", asked: "POST /applications/web/terminate"},
	{args: "app actions list web --kind deployment", out: "apps/Deployment  shop-web   web   scale    no         replicas\n",
		asked: "GET /applications/web/resource-actions?group=apps&kind=Deployment&namespace=shop-web&resourceName=web"},
	{args: "app actions list web --kind Pod", out: "Pod   n          web-1  restart", asked: "GET /applications/web/tree"},
	{args: "app actions list web --kind Job", code: 3, err: "(object_not_of_application)"},
	{args: "app actions run web scale --kind Deployment --param replicas=3 --reason sale", out: "Succeeded",
		asked: `POST /applications/web/actions {"resource":{"group":"apps","kind":"Deployment","namespace":"shop-web","name":"web"},"action":"scale","params":{"replicas":"3"},"reason":"sale"}`},
	{args: "app actions run web scale --kind Deployment --group batch", code: 3, err: "(object_not_of_application)"},
	{args: "app actions run web scale --kind Deployment --param x", code: 2, err: "is not NAME=VALUE"},
	{args: "app actions run web restart", code: 2, err: "add --kind"},
	{args: "app delete-resource web --kind Deployment --yes --reason stuck --orphan", out: "Succeeded",
		asked: "DELETE /applications/web/resource?group=apps&kind=Deployment&namespace=shop-web&propagation=orphan&reason=stuck&resourceName=web&uid=u-1"},
	{args: "app delete-resource web --kind Deployment --yes --uid u-7", out: "Succeeded", asked: "uid=u-7"},
	{args: "app delete-resource web --kind Deployment", code: 2, err: "This will delete 1 object(s)"},
	{args: "app delete-resource web --yes", code: 2, err: "add --kind"},
	{args: "app delete-resource web --kind Deployment --yes --propagation slow", code: 2, err: "none of foreground, background, orphan"},
	{args: "app delete-resource web --kind Deployment --yes --all --uid u", code: 2, err: "--all means several"},
	{args: "app delete-resource web --kind Job --yes", code: 3, err: "(object_not_of_application)"},
	{args: "app wait web --operation", out: "web  OutOfSync (Drift)  Healthy  01234567\n"},
	{args: "app wait gone --delete", out: "", code: 0},
	{args: "app wait", code: 2, err: "name at least one application"},
	{args: "app diff web", code: 1, out: "~ apps/Deployment"},
	{args: "app diff web --diff-exit-code 20", code: 20, out: "set by kubectl"},
	{args: "app diff web --exit-code=false", out: "(not in Git any more)"},
	{args: "app history web", out: "7   2026-01-02T03:04:05Z  01234567  ana\n"},
	{args: "app tree web", out: "└─ Pod", err: "more nodes than are shown"},
	{args: "app tree web", out: "no application owns:\n└─ Secret n/left  tracked by argo\n", err: "300 objects are orphaned, of which 1 are shown"},
	{args: "app parameters web", out: "env        array  true      eu, us   Environment  cue\n"},
	{args: "app resource web secret/pass", out: "data:\n  a: redacted:0123\nkind: Secret\nmetadata:\n  uid: u-1\n", asked: "GET /applications/web/resource?kind=secret&resourceName=pass"},
	{args: "app resource web deployments.apps/web -n n --show-managed-fields -o name", out: "deployments.apps/web\n", asked: "resource?group=apps&kind=deployments&managedFields=true&namespace=n&resourceName=web"},
	{args: "app resource web secret", code: 2, err: "is not KIND/NAME"},
	{args: "app events web --kind pod --limit 7", out: "Warning  BackOff  Pod web-1  3      again\uFFFD[2J\n", asked: "GET /applications/web/events?kind=pod&limit=7"},
	{args: "app events web -f -o yaml", code: 2, err: "as text or with -o json"},
	{args: "app logs web -o json", out: `"text":"between"}` + "\n"},
	{args: "app logs web -o yaml", code: 2, err: "as text or with -o json"},
	{args: "app logs web -c a --all-containers", code: 2, err: "if any flags in the group"},
	{args: "app exec web --pod p", code: 2, err: "hawser app exec NAME [--pod POD] -- COMMAND"},
	{args: "app exec web -- ls", code: 3, err: "in pod web-1\n", asked: "GET /applications/web/exec?command=ls&namespace=n&pod=web-1"},
	{args: "app exec nix --pod p -- ls", code: 3, err: "(application_not_found)"},
	{args: "app refresh web", err: "accepted", asked: "POST /applications/web/refresh"},
	{args: "app delete web", code: 2, err: "(delete_needs_choice)"},
	{args: "app delete web --cascade=false --propagation-policy background", out: "Succeeded", asked: "DELETE /applications/web?cascade=false&propagation=background"},
	{args: "app delete web -y", out: "Succeeded", asked: "DELETE /applications/web\nGET"},
	{args: "app delete web -y --cascade --approve-deletions", out: "Succeeded", asked: "DELETE /applications/web?approveDeletions=true&cascade=true"},
	{args: "app delete web --cascade --wait=false", out: "Queued", err: "accepted", asked: "cascade=true"},
	{args: "operation list", out: "op-1  web          sync  Succeeded  "},
	{args: "operation list --filter phase:failed", out: "op-1  ", asked: "GET /operations?filter=phase%3Afailed&limit=500"},
	{args: "app list -c env=prod --limit 1", out: "web", asked: "filter=cluster.label%3Aenv%3Dprod"},
	{args: "app list --json nam", code: 2, err: `did you mean "name"?`},
	{args: "app list --json history", code: 2, err: `there is no field "history"`},
	{args: "app get web --json nam", code: 2, err: `did you mean "name"?`},
	{args: "app list x", code: 2, err: "takes no arguments, got 1"},
	{args: "app list --columns nam", code: 2, err: "choose from name, project"},
	{args: "app wait web --revision abcdefg", code: 2, err: `--revision "abcdefg" is no commit`},
	{args: "operation list -o name", out: "operation/op-1\n"},
	{args: "operation get op-1", out: "Created     Service"},
	{args: "operation get operation/op-1 -o name", out: "operation/op-1\n"},
	{args: "operation terminate op-1", out: "Terminated"},
	{args: "job list", out: "job-1  sync  Finished  3      2         1       0  "},
	{args: "job get job/job-1", out: "sync job-1: Finished  2 of 3 accepted, 1 failed, 0 pending\nFailed     nope  there is none (application_not_found)\n", err: "2 more went well"},
	{args: "job cancel job-1", out: "sync job-1: Finished", asked: "POST /jobs/job-1/cancel"},
	{args: "settings customizations get", out: "resource.customizations.health.X: return {}\n", err: "version 3, set by ana"},
	{args: "settings customizations get --version 2 -o name", out: "settings/customizations\n", asked: "version=2"},
	{args: "settings customizations set -f -", in: "kind: ConfigMap", out: "customizations set, version 4: 2 keys changed\n", err: "left out: 1 key that is not about resources", asked: "PUT /settings/customizations kind: ConfigMap"},
	{args: "settings customizations set -f - --dry-run", in: "kind: ConfigMap", out: "2 keys would change", err: "left out: resource.x: unknown", asked: "dryRun=true"},
	{args: "settings customizations set", code: 2, err: "nothing to read"},
	{args: "settings customizations diff -f -", in: "kind: ConfigMap", code: 1, out: "~ resource.customizations.health.X\n    - b\n    + c\n+ resource.compareoptions\n    + \uFFFD[2Jx\n", err: "left out: resource.x"},
	{args: "settings customizations history", out: "3        2026-01-02T03:04:05Z  ana\n"},
	{args: "open", out: "/fleet\n"},
	{args: "open apps", out: "/apps\n"},
	{args: "open app/web", out: "/apps/web\n"},
	{args: "open cluster/eu", out: "/clusters/eu\n"},
	{args: "open repo/https://git/x", out: "/repositories?q=https%3A%2F%2Fgit%2Fx\n"},
	{args: "open app/a%2F..", out: "/apps/a%252F..\n"},
	{args: "open app/", code: 2, err: "no name"},
	{args: "app get web --web", out: "/apps/web\n"},
	{args: "get app/web --web", out: "/apps/web\n"},
	{args: "app tree web --web", out: "/apps/web?tab=tree\n"},
	{args: "app list --filter health:degraded --web", out: "/apps?q=health%3Adegraded\n"},
	{args: "fleet status --web", out: "/fleet\n"},
	{args: "project role list shop --web", out: "/projects\n"},
	{args: "open ap/web", code: 2, err: `did you mean "app"?`},
	{args: "--version", out: "hawser "},
	{args: "doctor", code: 1, out: "HW-", err: "3 findings"},
	{args: "version --client", out: "hawser "},
	{args: "man testdata/nix\x00", code: 2, err: "invalid argument"},
	{args: "app describe web", out: "Operations:\nID    KIND  PHASE      AGE"},
	{args: "app describe web", out: "Warning  BackOff  Pod web-1"},
	{args: "cluster diagnose eu", out: "eu  Connected  0 reconnects in the last hour\n", err: "nothing is known that is wrong with it"},
	{args: "cluster describe eu", out: "Applications:\nNAME  PROJECT  SYNC"},
	{args: "project describe shop", out: "description: the shop\n"},
	{args: "describe cluster/eu -o name", out: "cluster/eu\n"},
	{args: "get app/web", out: "Condition:  Warning held"},
	{args: "get apps -o name", out: "app/web\napp/second\n"},
	{args: "get app web -o name", out: "app/web\n"},
	{args: "-o name get cluster/eu", out: "cluster/eu\n"},
	{args: "get -o name cluster/eu", out: "cluster/eu\n"},
	{args: "get repo/https://git/x -o name", out: "repo/https://git/x\n"},
	{args: "get shop", out: "description: the shop\n"},
	{args: "get nix", code: 3, err: "(name_unknown)"},
	{args: "get", code: 2, err: "needs a TYPE/NAME"},
	{args: "get ap/web", code: 2, err: `did you mean "app"?`},
	{args: "get app/", code: 2, err: "lacks a name"},
	{args: "get --help", out: "TYPE/NAME"},
	{args: "get app/web --help", out: "hawser app get NAME"},
	{args: "delete app/web -y", out: "Succeeded", asked: "DELETE /applications/web"},
	{args: "delete repo/https://git/x", err: "removed", asked: "DELETE /repositories/r1"},
	{args: "delete operation/op-1", code: 2, err: "cannot be used with the type operation"},
	{args: "diff app/web", code: 1, out: "~ apps/Deployment"},
	{args: "sync web --prune", out: "Succeeded", asked: `POST /applications/web/sync {"prune":true}`},
	{args: "wait app/web --operation", out: "web  OutOfSync (Drift)"},
	{args: "logs app/web -o json", out: `"text":"between"}`},
	{args: "exec app/web --pod p", code: 2, err: "hawser app exec NAME"},
	{args: "events app/web --kind pod", out: "BackOff"},
	{args: "tree app/web", out: "└─ Pod", err: "more nodes"},
	{args: "plugin list", out: "NAME  PATH"},
	{args: "help exit-codes", out: "130  interrupted"},
	{args: "help environment", out: "HAWSER_CA_HASH"},
	{args: "help nix", code: 3, err: "(help_unknown)"},
	{args: "app", out: "Available Commands"},
}

func TestCommands(t *testing.T) {
	for _, c := range commandCases {
		t.Run(c.args, func(t *testing.T) {
			hub := newHubOf(t, everything())
			r := run(t, c.in, strings.Fields(c.args)...)
			r.check(t, c.code, c.out, c.err)
			if !strings.Contains(hub.requests(), c.asked) {
				t.Errorf("the hub was asked\n%s", hub.requests())
			}
		})
	}
}

func TestADeletionThatIsUnderWay(t *testing.T) {
	for args, want := range map[string]string{
		"app delete web -y --cascade=false": `the deletion of the objects of "web" is given up; what is still there stays`,
		"app delete web -y --cascade":       `"web" is being deleted without its objects already; they stay`,
		"app delete web -y":                 "",
	} {
		answers := everything()
		answers["DELETE /applications/web"] = answer{202, strings.Replace(orphanOp, "Succeeded", "Running", 1)}
		answers["GET /operations/op-2"] = answer{200, orphanOp}
		newHubOf(t, answers)
		r := run(t, "", strings.Fields(args)...)
		r.check(t, 0, "2026-01-02T03:04:05Z deletions approved by bob\n2026-01-02T03:04:06Z deletion of the objects given up by ana\uFFFD[2J\n"+
			"2026-01-02T03:04:07Z asked to end by eve\ndelete web: Succeeded\n", want)
	}
}

func TestEveryCommandIsTried(t *testing.T) {
	var walk func(c *cobra.Command, path string)
	walk = func(c *cobra.Command, path string) {
		if !c.HasSubCommands() {
			if path == "login" || path == "logout" || strings.HasPrefix(path, "context ") { // contexts_test.go
				return
			}
			if c.Hidden || c.DisableFlagParsing { // what other programs call; verbs that stand first run a noun's command
				return
			}
			tried := slices.ContainsFunc(commandCases, func(x commandCase) bool { return strings.HasPrefix(x.args+" ", path+" ") })
			if !tried {
				t.Errorf("%q is not tried", path)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub, strings.TrimSpace(path+" "+sub.Name()))
		}
	}
	walk(newRoot(&session{}), "")
}

func TestDocumentsOnly(t *testing.T) {
	for _, c := range commandCases {
		if strings.Contains(c.args, "-o ") || strings.HasPrefix(c.args, "help") || c.args == "app" || strings.HasPrefix(c.args, "-o") || strings.Contains(c.args, "--help") {
			continue
		}
		t.Run(c.args, func(t *testing.T) {
			newHubOf(t, everything())
			r := run(t, c.in, append(strings.Fields(c.args), "-o", "json")...)
			if r.code != c.code || !r.document() {
				t.Errorf("exit status %d, stdout %q", r.code, r.out)
			}
			if c.code == 0 && r.err != "" {
				t.Errorf("stderr %q", r.err)
			}
			if c.out != "" && r.out == "" {
				t.Error("no document")
			}
		})
	}
}

func TestListsOfNothing(t *testing.T) {
	newHubOf(t, map[string]answer{
		"GET /applications": {200, `{"items":[]` + asOf}, "GET /applications/web": {200, `{"name":"web","observedAt":"2026-01-02T03:04:05Z","sync":{"status":"Synced"}}`},
	})
	for _, args := range []string{"app list", "app history web", "app diff web"} {
		r := run(t, "", append(strings.Fields(args), "-o", "json")...)
		r.check(t, 0, `"items": []`, "")
	}
}

func TestLogin(t *testing.T) {
	hub := newHubOf(t, everything())
	pin := hub.pin()
	t.Setenv("HAWSER_HUB", "")
	t.Setenv("HAWSER_TOKEN", "")
	t.Setenv("HAWSER_CA_HASH", "")
	run(t, "", "login", hub.srv.URL, "--ca-hash", pin).check(t, 2, "", "(login_needs_code)")
	run(t, "code\n", "login", hub.srv.URL, "--code-stdin", "--name", "one", "--ca-hash", "sha256:0000").check(t, 2, "", "(hub_not_trusted)")
	run(t, "", "whoami").check(t, 4, "", "(not_logged_in)")
	run(t, "code\n", "login", hub.srv.URL, "--code-stdin", "--name", "one", "--ca-hash", pin).check(t, 0, "", `as ana; context "one" is now current`)
	if !strings.Contains(hub.requests(), `POST /login {"code":"code"}`) {
		t.Errorf("asked %s", hub.requests())
	}
	run(t, "", "whoami").check(t, 0, "ana\n", "")
	run(t, "hwt_x\n", "login", hub.srv.URL, "--with-token", "--name", "two", "--ca-hash", pin).check(t, 0, "", `context "two"`)
	run(t, "", "context", "use", "one").check(t, 0, "", `context "one" is now current`)
	run(t, "", "context", "list").check(t, 0, "*        one   "+hub.srv.URL, "")
	run(t, "", "context", "list", "-o", "name").check(t, 0, "one\ntwo\n", "")
	run(t, "", "context", "list", "-o", "json").check(t, 0, "\"name\": \"one\",\n      \"current\": true", "")
}

func TestApplyOfADirectory(t *testing.T) {
	hub := newHubOf(t, everything())
	dir := t.TempDir()
	for name, text := range map[string]string{"b.yaml": "b: 1", "a.json": "{}", "README.md": "no"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "", "apply", "-f", dir).check(t, 0, "created", "")
	if got := hub.requests(); got != "POST /apply {}\n---\nb: 1" {
		t.Errorf("sent %q", got)
	}
	run(t, "", "apply", "-f", t.TempDir()).check(t, 3, "", "has no .yaml")
}

func TestApplyNamesTheFileOfAnError(t *testing.T) {
	const missing = `{"kind":"","name":"","result":"failed","error":{"kind":"invalid","code":"field_missing","detail":"line 9: kind is missing"}}`
	denied := strings.Replace(missing, `"kind":"","name":""`, `"kind":"Application","name":"x"`, 1)
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	a, b := write("a.yaml", argoApp), write("b.yaml", "\nb: 1\n---\n"+strings.Replace(argoApp, "fresh", "x", 1))
	h := newHubOf(t, with(map[string]answer{"POST /apply": {207, `{"items":[{"kind":"Application","name":"fresh","result":"created"},` + missing + "," + strings.Replace(denied, "field_missing", "denied", 1) + `]}`}}))
	r := run(t, "", "apply", "-f", a, "-f", b)
	r.check(t, 9, "app/fresh created\n", b+", document 1 failed\nerror: HW-")
	for _, want := range []string{" line 2: ", "app/x failed, in " + b + ", document 2\nerror: "} {
		if !strings.Contains(r.err, want) {
			t.Errorf("%q is not in\n%s", want, r.err)
		}
	}
	asked := h.requests()
	c := write("c.yaml", "a: [")
	run(t, "", "apply", "-f", a, "-f", c).check(t, 2, "", c+": ")
	run(t, "", "project", "apply", "-f", c).check(t, 2, "", c+": ")
	run(t, "", "project", "apply", "-f", write("d.yaml", "b: 1")).check(t, 2, "", dir+"/d.yaml: ")
	if h.requests() != asked {
		t.Errorf("a text that cannot be read was sent")
	}
}
