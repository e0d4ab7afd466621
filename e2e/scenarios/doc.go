// Package scenarios holds the end-to-end tests: one script per behaviour, against
// the real programs, two real control planes and a real Git server. The folder is
// the list of what Hawser does.
//
// testdata/steady has the scripts that only touch what is their own; they run side
// by side. testdata/faults has those that take away something that all share (the
// hub, Git, Postgres); they run one after another, after the others. All of them
// share one hub, one Git server and the clusters eu and us, with the agents'
// namespace hawser-system.
//
// A script is a text archive: commands, then files. Before it starts ${NAME},
// ${REPO_URL} and the other variables are replaced in its files.
//
//	NAME        the script's own name: of its application, namespace, repository
//	REPO_URL    its Git repository, empty at first
//	LOCKED_URL  the same repository at a server that asks for a password
//	SSH_URL     the same repository over SSH; the files ssh_key and known_hosts fit
//	COMMIT      the last commit made by the script
//	SIGNER      the id of the script's own GnuPG key; its public part is the file signer.asc
//	KUBE_US     a kubeconfig of the cluster us, whose only context is "us"
//	HUB, GIT    host and port of the hub and of the Git server
//
// Commands besides those of testscript (exec, stdin, stdout, stderr, grep, cp, rm,
// env and so on); "!" before a command says that it must fail:
//
//	hawser ARGS…            the command line
//	exitcode N hawser ARGS… the command line with its exit status
//	deploy FLAGS…           hawser app create $NAME of directory app of $REPO_URL to cluster eu and
//	                        namespace $NAME, with CreateNamespace=true and FLAGS
//	source FILE             applies an Application $NAME with the source (or the list of sources)
//	                        in FILE, to cluster eu, namespace $NAME, synced automatically; its
//	                        repository and branch are the script's where FILE names none
//	commit DIR MESSAGE [signed]
//	                        makes the repository exactly what DIR holds; sets COMMIT
//	tag NAME                makes a tag at COMMIT, or moves it there
//	push                    tells the hub of COMMIT, as GitHub does
//	app NAME COND…          waits until the hub shows the application so
//	app NAME gone           waits until the hub shows it no more
//	cluster NAME COND…      the same for a cluster
//	kube CLUSTER get|patch|create|delete|await …
//	                        somebody at the API server: get KIND [NS/]NAME [PATH],
//	                        patch KIND [NS/]NAME JSON, create FILE,
//	                        delete KIND [NS/]NAME, await KIND [NS/]NAME COND…;
//	                        argocd: an Argo CD in namespace $NAME with the objects of
//	                        testdata/argocd, as they are when it has synced them to eu
//	kubelet say [NS/]POD CONTAINER LINE…
//	                        a container in eu writes lines to its log
//	kubelet restart [NS/]POD CONTAINER
//	                        and is started again
//	audit CLUSTER mark      the witness: look at requests from here on
//	audit CLUSTER write VERB KIND [NS/]NAME
//	                        waits until the agent has done this
//	audit CLUSTER nowrite|nodelete NS
//	                        the agent has written (deleted) nothing in the namespace
//	enrol NAME TOKENFILE on CLUSTER [as OTHER] [via proxy]
//	                        starts a second agent on the control plane of CLUSTER, in
//	                        namespace NAME-agent; done when the hub shows it as connected
//	refused NAME TOKENFILE on CLUSTER [as OTHER] TEXT
//	                        the same, and the agent has to say TEXT
//	agent CLUSTER kill|start
//	hub kill|stop|start|save|load
//	                        save and load copy and restore the data of a stopped hub
//	git down|up|html|well|status N
//	token VARIABLE ROLE PROJECT
//	                        issues an API token with that grant and puts it into the variable
//	postgres kill           SIGKILL for the hub's private Postgres
//	writes begin|end        creates projects without pause; at the end every one
//	                        that was answered 2xx must be there
//
// COND is PATH=VALUE, PATH!=VALUE or PATH~REGEXP over the JSON of the object, where
// PATH is as in .spec.ports[0].port or .metadata.annotations[a.b/c]; present or
// absent ask for the object itself. A PATH that leads to nothing is "".
//
// The programs come from the directory HAWSER_BIN, or are built when it is not set.
//
//	go test ./e2e/scenarios -run TestSteady/prune
//	go test ./e2e/scenarios -run TestFaults/git
package scenarios
