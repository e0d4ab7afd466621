package diff

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	kyaml "sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/agent/live"
)

// pod puts a pod spec into a Deployment.
func pod(spec string) string {
	return deployHead + "spec: {template: {spec: " + spec + "}}"
}

func container(fields string) string { return pod("{containers: [{name: a, " + fields + "}]}") }

func head(apiVersion, kind string) string {
	return "apiVersion: " + apiVersion + "\nkind: " + kind + "\nmetadata: {name: x}\n"
}

// ownOf is the field set of having applied an object, as far as tests need it:
// every leaf, lists of objects by name, other lists as a whole.
func ownOf(t *testing.T, yaml string) live.FieldManager {
	t.Helper()
	var set func(any) map[string]any
	set = func(v any) map[string]any {
		out := map[string]any{}
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				out["f:"+k] = set(e)
			}
		case []any:
			for _, e := range v {
				m, ok := e.(map[string]any)
				name, named := m["name"]
				if !ok || !named {
					return map[string]any{}
				}
				key, _ := json.Marshal(map[string]any{"name": name})
				sub := set(e)
				sub["."] = map[string]any{}
				out["k:"+string(key)] = sub
			}
		}
		return out
	}
	fields, err := json.Marshal(set(object(t, yaml)))
	if err != nil {
		t.Fatal(err)
	}
	return own(string(fields))
}

// TestServerSemantics are the rules of the API server that a comparison needs.
// Each was seen on a real one; TestServerAgrees looks for more.
func TestServerSemantics(t *testing.T) {
	service := head("v1", "Service")
	policy := head("networking.k8s.io/v1", "NetworkPolicy")
	cases := []struct {
		name          string
		desired, live string
		applied       string // what this agent applied before, if anything
		want          []string
	}{
		// Zero and absent.
		{"a false that means something is not absent", pod("{automountServiceAccountToken: false, containers: [{name: a, securityContext: {allowPrivilegeEscalation: false, runAsUser: 0}}]}"), pod("{containers: [{name: a, securityContext: {}}]}"), "",
			[]string{".spec.template.spec.automountServiceAccountToken false ", ".spec.template.spec.containers[name=a].securityContext.allowPrivilegeEscalation false ", ".spec.template.spec.containers[name=a].securityContext.runAsUser 0 "}},
		{"a false that is the same as absent", pod("{hostNetwork: false, hostPID: false, containers: [{name: a, stdin: false, tty: false}]}"), pod("{containers: [{name: a}]}"), "", nil},
		{"an empty volume source is there", pod("{volumes: [{name: v, emptyDir: {}}]}"), pod("{volumes: [{name: v, hostPath: {path: /}}]}"), "", []string{".spec.template.spec.volumes[name=v].emptyDir {} "}},
		{"an empty peer selector is not no selector", policy + "spec: {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}", policy + "spec: {podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}", "",
			[]string{".spec.ingress[0].from[0].namespaceSelector  {}", ".spec.ingress[0].from[0].podSelector {} "}},
		{"an empty value where the server has a default", container(`terminationMessagePath: "", imagePullPolicy: ""`), container("image: q, terminationMessagePath: /dev/termination-log, imagePullPolicy: Always"), "", nil},
		{"an empty value where somebody set another", container(`terminationMessagePath: ""`), container("terminationMessagePath: /x"), "", []string{`.spec.template.spec.containers[name=a].terminationMessagePath "" "/x"`}},
		{"an empty map merges with what is live", deployHead + "metadata: {name: web, labels: {}}\nspec: {}", deployHead + "metadata: {name: web, labels: {a: b}}\nspec: {}", "", nil},
		{"an empty label is a label", head("v1", "ConfigMap") + "data: {a: ''}", head("v1", "ConfigMap") + "data: {}", "", []string{`.data.a "" `}},
		{"an empty map that is replaced as a whole", service + "spec: {selector: {}}", service + "spec: {selector: {a: b}}", "", []string{`.spec.selector {} {"a":"b"}`}},

		{"a reference that the server merges here alone", head("v1", "PersistentVolume") + "spec: {claimRef: {name: c, namespace: a}}", head("v1", "PersistentVolume") + "spec: {claimRef: {apiVersion: v1, kind: PersistentVolumeClaim, name: c, namespace: a, uid: u, resourceVersion: '7'}}", "", nil},
		{"another claim", head("v1", "PersistentVolume") + "spec: {claimRef: {name: c, namespace: a}}", head("v1", "PersistentVolume") + "spec: {claimRef: {kind: PersistentVolumeClaim, name: d, namespace: a, uid: u}}", "", []string{`.spec.claimRef.name "c" "d"`}},

		// Nulls.
		{"a null leaves what merges", pod("{containers: null, securityContext: null}"), pod("{containers: [{name: a}], securityContext: {runAsUser: 1}}"), "", nil},
		{"a null takes a scalar away", deployHead + "spec: {replicas: null, minReadySeconds: null}", deployHead + "spec: {replicas: 3, minReadySeconds: 5}", "", []string{".spec.minReadySeconds null 5", ".spec.replicas null 3"}},
		{"a null where the default is live", deployHead + "spec: {replicas: null, revisionHistoryLimit: null}", deployHead + "spec: {replicas: 1, revisionHistoryLimit: 10}", "", nil},
		{"a null takes away what is replaced as a whole", pod("{tolerations: null, nodeSelector: null}"), pod("{tolerations: [{key: a}], nodeSelector: {a: b}}"), "",
			[]string{`.spec.template.spec.nodeSelector null {"a":"b"}`, `.spec.template.spec.tolerations null [{"key":"a"}]`}},
		{"a null element of a map of texts is empty", head("v1", "ConfigMap") + "data: {a: null}", head("v1", "ConfigMap") + "data: {a: ''}", "", nil},
		{"creationTimestamp: null of a template", deployHead + "spec: {template: {metadata: {creationTimestamp: null, labels: {a: b}}}}", deployHead + "spec: {template: {metadata: {labels: {a: b}}}}", "", nil},

		// What the server fills in.
		{"defaults inside of a list that is replaced as a whole", policy + "spec: {podSelector: {}, ingress: [{ports: [{port: 80}]}]}", policy + "spec: {podSelector: {}, policyTypes: [Ingress], ingress: [{ports: [{port: 80, protocol: TCP}]}]}", "", nil},
		{"what somebody added to it", policy + "spec: {podSelector: {}, ingress: [{ports: [{port: 80}]}]}", policy + "spec: {podSelector: {}, ingress: [{ports: [{port: 80, protocol: TCP}], from: [{podSelector: {}}]}]}", "", []string{`.spec.ingress[0].from  [{"podSelector":{}}]`}},
		{"a reference's API version", container("env: [{name: P, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]"), container("env: [{name: P, valueFrom: {fieldRef: {apiVersion: v1, fieldPath: metadata.name}}}]"), "", nil},
		{"a reference of another API version", container("env: [{name: P, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]"), container("env: [{name: P, valueFrom: {fieldRef: {apiVersion: v2, fieldPath: metadata.name}}}]"), "", []string{`.spec.template.spec.containers[name=a].env[name=P].valueFrom.fieldRef.apiVersion  "v2"`}},
		{"divisors and modes", container("env: [{name: P, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}]"), container(`env: [{name: P, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: "0"}}}]`), "", nil},
		{"claim templates of a StatefulSet", head("apps/v1", "StatefulSet") + "spec: {volumeClaimTemplates: [{metadata: {name: d}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1024Mi}}}}]}",
			head("apps/v1", "StatefulSet") + "spec: {volumeClaimTemplates: [{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: d}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}, volumeMode: Filesystem}, status: {phase: Pending}}]}", "", nil},
		{"subjects of a binding", head("rbac.authorization.k8s.io/v1", "RoleBinding") + "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}\nsubjects: [{kind: User, name: u}, {kind: ServiceAccount, name: s, namespace: n, apiGroup: ''}]",
			head("rbac.authorization.k8s.io/v1", "RoleBinding") + "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}\nsubjects: [{kind: User, name: u, apiGroup: rbac.authorization.k8s.io}, {kind: ServiceAccount, name: s, namespace: n}]", "", nil},
		{"rules that are null once stored", head("rbac.authorization.k8s.io/v1", "Role") + "rules: []", head("rbac.authorization.k8s.io/v1", "Role") + "rules: null", "", nil},
		{"rules of an aggregated role belong to the controller", head("rbac.authorization.k8s.io/v1", "ClusterRole") + "aggregationRule: {clusterRoleSelectors: [{matchLabels: {a: b}}]}\nrules: []", head("rbac.authorization.k8s.io/v1", "ClusterRole") + "aggregationRule: {clusterRoleSelectors: [{matchLabels: {a: b}}]}\nrules: [{verbs: [get], resources: [pods], apiGroups: ['']}]", "", nil},
		{"limits derived from others", head("v1", "LimitRange") + "spec: {limits: [{type: Container, default: {memory: 512Mi}, max: {cpu: 2}}]}", head("v1", "LimitRange") + `spec: {limits: [{type: Container, default: {memory: 512Mi, cpu: "2"}, defaultRequest: {memory: 512Mi, cpu: "2"}, max: {cpu: "2"}}]}`, "", nil},
		{"what the server allocated to a Service", service + "spec: {clusterIP: '', type: NodePort, ports: [{port: 80, nodePort: 0}]}", service + "spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], type: NodePort, externalTrafficPolicy: Cluster, internalTrafficPolicy: Cluster, sessionAffinity: None, ipFamilies: [IPv4], ipFamilyPolicy: SingleStack, ports: [{port: 80, protocol: TCP, targetPort: 80, nodePort: 30001}]}", "", nil},
		{"the tolerations that every Pod gets", head("v1", "Pod") + "spec: {tolerations: [{key: a}]}", head("v1", "Pod") + "spec: {tolerations: [{key: a}, {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 300}, {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 300}]}", "", nil},
		{"metrics keep their order", head("autoscaling/v2", "HorizontalPodAutoscaler") + "spec: {maxReplicas: 2, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}, {type: Resource, resource: {name: memory, target: {type: AverageValue, averageValue: 1000Mi}}}]}",
			head("autoscaling/v2", "HorizontalPodAutoscaler") + "spec: {maxReplicas: 2, metrics: [{type: Resource, resource: {name: memory, target: {type: AverageValue, averageValue: 1000Mi}}}, {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]}", "",
			[]string{`.spec.metrics[0].resource.name "cpu" "memory"`, `.spec.metrics[0].resource.target.averageUtilization 80 `, `.spec.metrics[0].resource.target.averageValue  "1000Mi"`, `.spec.metrics[0].resource.target.type "Utilization" "AverageValue"`,
				`.spec.metrics[1].resource.name "memory" "cpu"`, `.spec.metrics[1].resource.target.averageUtilization  80`, `.spec.metrics[1].resource.target.averageValue "1000Mi" `, `.spec.metrics[1].resource.target.type "AverageValue" "Utilization"`}},
		{"a CA bundle that was injected", head("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration") + "webhooks: [{name: a.b.c, clientConfig: {service: {name: s, namespace: n}}}]", head("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration") + "webhooks: [{name: a.b.c, clientConfig: {caBundle: QQ==, service: {name: s, namespace: n, port: 443}}, matchPolicy: Equivalent, namespaceSelector: {}, objectSelector: {}, failurePolicy: Fail, timeoutSeconds: 10}]", "", nil},
		{"conversion and names of a CRD", head("apiextensions.k8s.io/v1", "CustomResourceDefinition") + "spec: {group: a.b, names: {kind: K, plural: ks}, scope: Namespaced, preserveUnknownFields: false, versions: [{name: v1, served: true, storage: true, additionalPrinterColumns: [{name: A, type: string, jsonPath: .a, priority: 0}], schema: {openAPIV3Schema: {type: object, properties: {a: {type: string, default: ''}, m: {additionalProperties: true}}}}}]}",
			head("apiextensions.k8s.io/v1", "CustomResourceDefinition") + "spec: {group: a.b, conversion: {strategy: None}, names: {kind: K, listKind: KList, plural: ks, singular: k}, scope: Namespaced, versions: [{name: v1, served: true, storage: true, additionalPrinterColumns: [{name: A, type: string, jsonPath: .a}], schema: {openAPIV3Schema: {type: object, properties: {a: {type: string, default: ''}, m: {additionalProperties: true}}}}}]}", "", nil},

		// Spellings.
		{"line breaks in base64", head("v1", "Secret") + "data: {a: \"YWFh\\nYWFh\"}", head("v1", "Secret") + "data: {a: YWFhYWFh}\ntype: Opaque", "", nil},
		{"times in another zone", head("coordination.k8s.io/v1", "Lease") + "spec: {renewTime: '2026-01-02T05:04:05.000000+02:00'}", head("coordination.k8s.io/v1", "Lease") + "spec: {renewTime: '2026-01-02T03:04:05.000000Z'}", "", nil},
		{"quantities of all kinds", pod("{volumes: [{name: v, emptyDir: {sizeLimit: 0.5Gi}}], overhead: {cpu: 1}, containers: [{name: a, resources: {limits: {cpu: 1.0, x.io/gpu: 2, memory: 1e9}}}]}"), pod(`{volumes: [{name: v, emptyDir: {sizeLimit: 512Mi}}], overhead: {cpu: 1000m}, containers: [{name: a, resources: {limits: {cpu: "1", x.io/gpu: "2", memory: 1G}}}]}`), "", nil},
		{"the notation of a quantity", container("resources: {limits: {memory: 1Gi}}"), container(`resources: {limits: {memory: "1073741824"}}`), "", nil},

		// Order.
		{"the order of lists that merge", container("env: [{name: A, value: x}, {name: B, value: y}]"), container("env: [{name: B, value: y}, {name: C}, {name: A, value: x}]"), "", []string{`.spec.template.spec.containers[name=a].env [{"name":"A"},{"name":"B"}] [{"name":"B"},{"name":"C"},{"name":"A"}]`}},
		{"elements of others between", container("env: [{name: A}, {name: B}]"), container("env: [{name: X}, {name: A}, {name: Y}, {name: B}]"), "", nil},
		{"an element that is there twice", container("env: [{name: A, value: x}]"), container("env: [{name: A, value: x}, {name: A, value: z}]"), "", []string{`.spec.template.spec.containers[name=a].env[name=A] {"name":"A","value":"x"} {"name":"A","value":"x"}`}},

		// Taken out.
		{"what we applied and its default is live", deployHead + "spec: {}", deployHead + "spec: {replicas: 1, revisionHistoryLimit: 10, paused: true}", deployHead + "spec: {replicas: 1, revisionHistoryLimit: 10, paused: true}", []string{".spec.paused  true hawser"}},
		{"single fields whose default is live", deployHead + "spec: {minReadySeconds: 1}", deployHead + "spec: {minReadySeconds: 1, replicas: 1, progressDeadlineSeconds: 7, strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}}", deployHead + "spec: {minReadySeconds: 1, replicas: 1, progressDeadlineSeconds: 7, strategy: {type: RollingUpdate}}", []string{".spec.progressDeadlineSeconds  7 hawser"}},
		{"a strategy that gives way to another default", deployHead + "spec: {replicas: 1}", deployHead + "spec: {replicas: 1, strategy: {type: Recreate}}", deployHead + "spec: {replicas: 1, strategy: {type: Recreate}}", []string{`.spec.strategy  {"type":"Recreate"} hawser`}},
		{"a whole container with what the server filled in", pod("{containers: [{name: b}]}"), pod("{containers: [{name: b}, {name: a, image: x, terminationMessagePath: /dev/termination-log}]}"), pod("{containers: [{name: b}, {name: a, image: x}]}"), []string{`.spec.template.spec.containers[name=a]  {"image":"x","name":"a","terminationMessagePath":"/dev/termination-log"} hawser`}},
		{"a null where we applied elements", pod("{containers: null}"), pod("{containers: [{name: a}, {name: b}]}"), pod("{containers: [{name: a}]}"), []string{`.spec.template.spec.containers[name=a]  {"name":"a"} hawser`}},
		{"the name of the service account has two fields", pod("{hostPID: true}"), pod("{hostPID: true, serviceAccountName: s, serviceAccount: s}"), pod("{hostPID: true, serviceAccountName: s}"), nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			in := Input{Desired: object(t, c.desired), Live: body(t, c.live), Managers: []live.FieldManager{}}
			if c.applied != "" {
				in.Managers = append(in.Managers, ownOf(t, c.applied))
			}
			res, err := Compare(in)
			if err != nil {
				t.Fatal(err)
			}
			if got := lines(res); !reflect.DeepEqual(got, c.want) {
				t.Errorf("differences\n got %q\nwant %q", got, c.want)
			}
			if len(res.Doubts) > 0 {
				t.Errorf("doubts about a built-in kind: %q", res.Doubts)
			}
		})
	}
}

const widgetCRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec:
  group: diff.example.com
  names: {kind: Widget, plural: widgets}
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              mode: {type: string, default: auto}
              note: {type: string, nullable: true}
              noted: {type: string, nullable: true, default: x}
              port: {x-kubernetes-int-or-string: true}
              nested: {type: object, default: {}, properties: {a: {type: string, default: A}, b: {type: string}}}
              limits: {type: object, additionalProperties: {anyOf: [{type: integer}, {type: string}], x-kubernetes-int-or-string: true, pattern: '^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$'}}
              items: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [name, kind], items: {type: object, properties: {name: {type: string}, kind: {type: string, default: plain}, v: {type: integer, default: 7}}}}
              tags: {type: array, x-kubernetes-list-type: set, items: {type: string}}
              atoms: {type: array, x-kubernetes-list-type: atomic, items: {type: object, properties: {name: {type: string}, v: {type: integer, default: 1}, w: {type: string}}}}
              plain: {type: array, items: {type: object, properties: {name: {type: string}}}}
              config: {type: object, x-kubernetes-preserve-unknown-fields: true}
              selector: {type: object, x-kubernetes-map-type: atomic, additionalProperties: {type: string}}
              template: {type: object, x-kubernetes-embedded-resource: true, x-kubernetes-preserve-unknown-fields: true}
`

// TestLastAppliedByOthers: what kubectl or another tool applied before counts as
// ours where applying takes it over.
func TestLastAppliedByOthers(t *testing.T) {
	live0 := func(annotations string) string {
		return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop, labels: {a: b, old: x}, annotations: {" + annotations + "}}\nspec: {replicas: 3, minReadySeconds: 5, paused: true, template: {spec: {containers: [{name: web, image: x, ports: [{containerPort: 80, protocol: TCP}]}, {name: gone, image: x}, {name: injected}], tolerations: [{key: a}], nodeSelector: {a: b}}}}"
	}
	record := `kubectl.kubernetes.io/last-applied-configuration: '{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"annotations":{},"labels":{"a":"b","old":"x"},"name":"web"},"spec":{"minReadySeconds":5,"replicas":3,"template":{"spec":{"containers":[{"name":"web","image":"x","ports":[{"containerPort":80}]},{"name":"gone","image":"x"}],"tolerations":[{"key":"a"}],"nodeSelector":{"a":"b"}}},"stray":{}}}'`
	desired := "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop, labels: {a: b}}\nspec: {replicas: 3, template: {spec: {containers: [{name: web, image: x}]}}}"
	gone := []string{`.metadata.labels.old  "x"`, ".spec.minReadySeconds  5", `.spec.template.spec.containers[name=gone]  {"image":"x","name":"gone"}`, `.spec.template.spec.containers[name=web].ports  [{"containerPort":80,"protocol":"TCP"}]`, `.spec.template.spec.nodeSelector  {"a":"b"}`, `.spec.template.spec.tolerations  [{"key":"a"}]`}
	for _, c := range []struct {
		name  string
		in    Input
		want  []string
		named string
	}{
		{"kubectl's record, without managedFields", Input{Live: body(t, live0(record))}, gone, ""},
		{"a record that is no JSON", Input{Live: body(t, live0("kubectl.kubernetes.io/last-applied-configuration: '{'"))}, nil, ""},
		{"the record does not count beside managedFields", Input{Live: body(t, live0(record)), Managers: []live.FieldManager{other("x", "{}")}}, nil, ""},
		{"a manager that is taken over", Input{Live: body(t, live0(record)), TakenOver: []string{"kubectl-client-side-apply"}, Managers: []live.FieldManager{
			other("kubectl-client-side-apply", `{"f:metadata":{"f:annotations":{".":{},"f:kubectl.kubernetes.io/last-applied-configuration":{}}},"f:spec":{"f:minReadySeconds":{}}}`)}}, gone[1:2], "kubectl-client-side-apply"},
		{"a manager that is not", Input{Live: body(t, live0(record)), Managers: []live.FieldManager{
			other("kubectl-client-side-apply", `{"f:metadata":{"f:annotations":{".":{},"f:kubectl.kubernetes.io/last-applied-configuration":{}}},"f:spec":{"f:minReadySeconds":{}}}`)}}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.in.Desired = object(t, desired)
			res, err := Compare(c.in)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, w := range c.want {
				if c.named != "" {
					w += " " + c.named
				}
				want = append(want, w)
			}
			if got := lines(res); !reflect.DeepEqual(got, want) {
				t.Errorf("differences\n got %q\nwant %q", got, want)
			}
		})
	}
}

// TestOtherReleases: what an API server of another release may do with kinds and
// fields that the table does not have is a doubt, not a difference.
func TestOtherReleases(t *testing.T) {
	for _, c := range []struct {
		name, desired, live string
		want, doubts        []string
	}{
		{"a zero of an old version", head("batch/v1beta1", "CronJob") + "spec: {suspend: false, schedule: '* * * * *', list: [{a: 0}]}", head("batch/v1beta1", "CronJob") + "spec: {schedule: '* * * * *', list: [{}], successfulJobsHistoryLimit: 3}", nil, []string{".spec.list[0].a", ".spec.suspend"}},
		{"a value of an old version", head("batch/v1beta1", "CronJob") + "spec: {suspend: true}", head("batch/v1beta1", "CronJob") + "spec: {}", []string{".spec.suspend true "}, nil},
		{"a zero of a new field", pod("{newField: false, containers: [{name: a, newer: {x: 0}}]}"), pod("{containers: [{name: a}]}"), []string{`.spec.template.spec.containers[name=a].newer {"x":0} `}, []string{".spec.template.spec.newField"}},
		{"a value of a new field", pod("{newField: 1}"), pod("{hostPID: true}"), []string{".spec.template.spec.newField 1 "}, nil},
		{"a zero of a custom resource counts", head("acme.io/v1", "X") + "spec: {a: false}", head("acme.io/v1", "X") + "spec: {}", []string{".spec.a false "}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, err := Compare(Input{Desired: object(t, c.desired), Live: body(t, c.live), Managers: []live.FieldManager{}})
			if err != nil {
				t.Fatal(err)
			}
			if got := lines(res); !reflect.DeepEqual(got, c.want) {
				t.Errorf("differences %q, want %q", got, c.want)
			}
			if got := res.Doubts; !reflect.DeepEqual(append([]string(nil), got...), c.doubts) {
				t.Errorf("doubts %q, want %q", got, c.doubts)
			}
		})
	}
}

func TestCustomResources(t *testing.T) {
	j, err := kyaml.YAMLToJSON([]byte(widgetCRD))
	if err != nil {
		t.Fatal(err)
	}
	schema, err := CRDSchema(j)
	if err != nil {
		t.Fatal(err)
	}
	widget := func(spec string) string { return head("diff.example.com/v1", "Widget") + "spec: " + spec }
	elements := `{"f:spec":{"f:items":{"k:{\"kind\":\"plain\",\"name\":\"a\"}":{".":{},"f:name":{}}}}}`
	cases := []struct {
		name          string
		desired, live string
		managers      []live.FieldManager
		want          []string
		// blind is what differs when the schema is not known, unsure where only
		// the server could tell. A "?" at the end of blind: it is only presumed.
		blind, unsure []string
	}{
		{"values stay as they were given", "{config: {a: '', b: {}, c: [], d: 0, e: false}}", "{config: {}}", nil,
			[]string{`.spec.config.a "" `, `.spec.config.b {} `, `.spec.config.c [] `, `.spec.config.d 0 `, `.spec.config.e false `}, []string{`.spec.config.a "" `, `.spec.config.b {} `, `.spec.config.c [] `, `.spec.config.d 0 `, `.spec.config.e false `}, nil},
		{"defaults", "{nested: {b: x}}", "{mode: auto, noted: x, nested: {a: A, b: x}}", nil, nil, nil, nil},
		{"lists that merge by keys with a default", "{items: [{name: a}, {name: a, kind: other}]}", "{items: [{name: a, kind: plain, v: 7}, {name: a, kind: other, v: 7}, {name: z, kind: plain, v: 7}]}", []live.FieldManager{own(`{"f:spec":{"f:items":{"k:{\"kind\":\"plain\",\"name\":\"a\"}":{".":{},"f:name":{}},"k:{\"kind\":\"other\",\"name\":\"a\"}":{".":{},"f:kind":{},"f:name":{}}}}}`)}, nil, nil, nil},
		{"an element that we did not apply", "{items: [{name: a}]}", "{items: [{name: a, kind: plain, v: 7}]}", []live.FieldManager{other("x", elements)}, nil, nil, []string{".spec.items"}},
		{"two elements that it can be", "{items: [{name: a}]}", "{items: [{name: a, kind: other, v: 7}, {name: a, kind: third, v: 7}]}", []live.FieldManager{other("x", elements)}, []string{`.spec.items[name=a,kind=plain] {"name":"a"}  x`}, nil, []string{".spec.items"}},
		{"a missing element", "{items: [{name: q}]}", "{items: []}", []live.FieldManager{other("x", `{"f:spec":{"f:items":{}}}`)}, []string{`.spec.items[name=q,kind=plain] {"name":"q"}  x`}, []string{`.spec.items [{"name":"q"}] [] x`}, nil},
		{"sets", "{tags: [a, b]}", "{tags: [c, a, b]}", []live.FieldManager{other("x", `{"f:spec":{"f:tags":{"v:\"c\"":{}}}}`)}, nil, nil, nil},
		{"the order of a set", "{tags: [b, a]}", "{tags: [a, b]}", []live.FieldManager{own(`{"f:spec":{"f:tags":{"v:\"a\"":{},"v:\"b\"":{}}}}`)}, []string{`.spec.tags ["b","a"] ["a","b"] hawser`}, []string{`.spec.tags ["b","a"] ["a","b"] hawser`}, nil},
		{"a member of a set that we applied before", "{tags: [a]}", "{tags: [a, b]}", []live.FieldManager{own(`{"f:spec":{"f:tags":{"v:\"a\"":{},"v:\"b\"":{}}}}`)}, []string{`.spec.tags[b]  "b" hawser`}, []string{`.spec.tags[b]  "b" hawser`}, nil},
		{"defaults in a list that is replaced", "{atoms: [{name: x}]}", "{atoms: [{name: x, v: 1}]}", []live.FieldManager{own(`{"f:spec":{"f:atoms":{}}}`)}, nil, nil, []string{".spec.atoms[0].v"}},
		{"additions to a list that is replaced", "{atoms: [{name: x}]}", "{atoms: [{name: x, v: 1, w: q}]}", []live.FieldManager{own(`{"f:spec":{"f:atoms":{}}}`)}, []string{`.spec.atoms[0].w  "q" hawser`}, nil, []string{".spec.atoms[0].v", ".spec.atoms[0].w"}},
		{"a list of which no schema says anything is replaced", "{plain: [{name: a}]}", "{plain: [{name: a}, {name: b}]}", nil, []string{`.spec.plain [{"name":"a"}] [{"name":"a"},{"name":"b"}]`}, []string{`.spec.plain [{"name":"a"}] [{"name":"a"},{"name":"b"}]?`}, nil},
		{"a map that is replaced", "{selector: {a: b}}", "{selector: {a: b, c: d}}", []live.FieldManager{other("x", `{"f:spec":{"f:selector":{}}}`)}, []string{`.spec.selector.c  "d" x`}, nil, []string{".spec.selector.c"}},
		{"numbers and texts stay apart", "{port: 80}", "{port: '80'}", nil, []string{`.spec.port 80 "80"`}, []string{`.spec.port 80 "80"`}, nil},
		{"quantities by their pattern", "{limits: {cpu: 1, memory: 1Gi}}", "{limits: {cpu: 1000m, memory: 1024Mi}}", nil, nil, []string{`.spec.limits.cpu 1 "1000m"`, `.spec.limits.memory "1Gi" "1024Mi"`}, nil},
		{"a null that may be", "{note: null}", "{note: x}", nil, []string{`.spec.note null "x"`}, []string{`.spec.note null "x"?`}, nil},
		{"a null that may be and has a default", "{noted: null}", "{noted: x}", nil, []string{`.spec.noted null "x"`}, []string{`.spec.noted null "x"?`}, nil},
		{"a null that may not be gives the default", "{mode: null}", "{mode: auto}", nil, nil, []string{`.spec.mode null "auto"?`}, nil},
		{"what we applied and its default is live", "{port: 1}", "{port: 1, mode: auto}", []live.FieldManager{own(`{"f:spec":{"f:port":{},"f:mode":{}}}`)}, nil, []string{`.spec.mode  "auto" hawser?`}, nil},
		{"what we applied and something else is live", "{port: 1}", "{port: 1, mode: manual}", []live.FieldManager{own(`{"f:spec":{"f:port":{},"f:mode":{}}}`)}, []string{`.spec.mode  "manual" hawser`}, []string{`.spec.mode  "manual" hawser?`}, nil},
		{"an object in an object", "{template: {kind: Pod, metadata: {labels: {}, name: x}}}", "{template: {kind: Pod, metadata: {name: x}}}", nil, nil, nil, []string{".spec.template.metadata.labels"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			in := Input{Desired: object(t, widget(c.desired)), Live: body(t, widget(c.live)), Managers: c.managers, Schema: schema}
			if in.Managers == nil {
				in.Managers = []live.FieldManager{}
			}
			res, err := Compare(in)
			if err != nil {
				t.Fatal(err)
			}
			if got := lines(res); !reflect.DeepEqual(got, c.want) {
				t.Errorf("differences\n got %q\nwant %q", got, c.want)
			}
			if len(res.Doubts) > 0 || !res.Certain() {
				t.Errorf("doubts with a schema: %q", res.Doubts)
			}
			in.Schema = nil
			if res, err = Compare(in); err != nil {
				t.Fatal(err)
			}
			presumed := 0
			for i, b := range c.blind {
				if sure, cut := strings.CutSuffix(b, "?"); cut {
					c.blind[i] = sure
					presumed++
				}
			}
			if got := lines(res); !reflect.DeepEqual(got, c.blind) || res.Presumed != presumed {
				t.Errorf("differences without a schema\n got %q\nwant %q", got, c.blind)
			}
			if got := res.Doubts; !reflect.DeepEqual(got, c.unsure) && len(got)+len(c.unsure) > 0 {
				t.Errorf("doubts without a schema\n got %q\nwant %q", got, c.unsure)
			}
			if res.Certain() != (len(c.unsure) == 0 && len(c.blind) == 0 || len(c.blind) > presumed) {
				t.Errorf("Certain() = %v without a schema", res.Certain())
			}
		})
	}
}
