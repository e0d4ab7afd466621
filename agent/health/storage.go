package health

import (
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// Volumes, snapshots, backups and what stores them.
var storage = map[string]family{
	"snapshot.storage.k8s.io": {
		"VolumeSnapshot": judge(snapshotReady), "VolumeSnapshotContent": judge(snapshotReady), "VolumeSnapshotClass": exists,
	},
	"groupsnapshot.storage.k8s.io": {
		"VolumeGroupSnapshot": judge(snapshotReady), "VolumeGroupSnapshotContent": judge(snapshotReady), "VolumeGroupSnapshotClass": exists,
	},
	"longhorn.io": { // https://longhorn.io/docs/latest/references/
		"Volume":          judge(longhornVolume),
		"Node":            judge(condition3("Ready")),
		"Backup":          judge(word("status.state", words{"Completed": ok, "Error": failed, "Unknown": undefined, "*": inProgress})),
		"BackupTarget":    judge(only(not(has("spec.backupTargetURL")), otherwise(ok, "")), flag("status.available", ok, ""), unset("status.available", failed, "the target is not available")),
		"EngineImage":     judge(word("status.state", words{"deployed": ok, "incompatible": failed, "error": failed, "*": inProgress})),
		"InstanceManager": judge(word("status.currentState", words{"running": ok, "error": failed, "unknown": undefined, "stopped": paused, "*": inProgress})),
		"BackingImage":    exists,
		"RecurringJob":    exists,
		"Setting":         exists,
		"ShareManager":    judge(word("status.state", words{"running": ok, "error": failed, "stopped": ok, "unknown": undefined, "*": inProgress})),
	},
	"ceph.rook.io": { // https://rook.io/docs/rook/latest/CRDs/specification/
		"CephCluster": judge(cephHealth, word("status.state", words{"Created": ok, "Connected": ok, "Error": failed, "*": inProgress}),
			word("status.phase", words{"Ready": ok, "Connected": ok, "Failure": failed, "*": inProgress})),
	},
	"objectbucket.io": {"ObjectBucketClaim": judge(word("status.phase", words{"Bound": ok, "Failed": failed, "*": inProgress})),
		"ObjectBucket": judge(word("status.phase", words{"Bound": ok, "Released": ok, "Failed": failed, "*": inProgress}))},
	"ocs.openshift.io": {"StorageCluster": judge(when("Degraded", yes).is(failed), when("Progressing", yes).is(inProgress), when("Available", yes).is(ok), otherwise(undefined, "no condition says how it does"))},
	"noobaa.io":        {"NooBaa": noobaa, "BackingStore": noobaa, "BucketClass": noobaa, "NamespaceStore": noobaa},
	"velero.io": { // https://velero.io/docs/main/api-types/
		"Backup": judge(word("status.phase", words{"Completed": ok, "PartiallyFailed": failed, "Failed": failed, "FailedValidation": failed,
			"WaitingForPluginOperationsPartiallyFailed": failed, "FinalizingPartiallyFailed": failed, "*": inProgress})),
		"Restore": judge(word("status.phase", words{"Completed": ok, "PartiallyFailed": failed, "Failed": failed, "FailedValidation": failed,
			"WaitingForPluginOperationsPartiallyFailed": failed, "FinalizingPartiallyFailed": failed, "*": inProgress})),
		"Schedule":               judge(word("status.phase", words{"FailedValidation": failed}), suspended("spec.paused"), word("status.phase", words{"Enabled": ok, "*": inProgress})),
		"BackupStorageLocation":  judge(word("status.phase", words{"Available": ok, "Unavailable": failed})),
		"VolumeSnapshotLocation": judge(word("status.phase", words{"Available": ok, "Unavailable": failed}), otherwise(ok, "")),
		"BackupRepository":       judge(word("status.phase", words{"Ready": ok, "NotReady": failed, "*": inProgress})),
		"PodVolumeBackup":        veleroVolume,
		"PodVolumeRestore":       veleroVolume,
		"DataUpload":             veleroVolume,
		"DataDownload":           veleroVolume,
	},
	"trident.netapp.io": {
		"TridentOrchestrator": judge(word("status.status", words{"Installed": ok, "Failed": failed, "Error": failed, "*": inProgress})),
		"TridentBackendConfig": judge(word("status.lastOperationStatus", words{"Failed": failed}), word("status.phase", words{"Lost": failed}),
			word("status.lastOperationStatus", words{"Success": ok, "*": inProgress})),
	},
	"astra.netapp.io": {
		"AppVault":    judge(word("status.state", words{"available": ok, "Available": ok, "failed": failed, "Failed": failed, "*": inProgress})),
		"Application": judge(ready),
		"Backup":      astraTask, "Snapshot": astraTask, "ExecHooksRun": astraTask, "ResourceBackup": astraTask, "ResticVolumeBackup": astraTask,
		"ExecHook": judge(flag("spec.enabled", ok, ""), unset("spec.enabled", paused, "the hook is not enabled")),
		"Schedule": exists,
	},
	"cdi.kubevirt.io": {"DataVolume": judge(word("status.phase", words{"Succeeded": ok, "Failed": failed, "Unknown": failed, "Paused": paused}),
		when("Running", no).because("Error").is(failed), word("status.phase", words{"*": inProgress}))},
}

var (
	// Rook's other kinds share a phase, https://rook.io/docs/rook/latest/CRDs/specification/#ceph.rook.io/v1.ConditionType.
	rook         = judge(stale, word("status.phase", words{"Ready": ok, "Connected": ok, "Failure": failed, "ReconcileFailed": failed, "*": inProgress}), ready)
	noobaa       = judge(word("status.phase", words{"Ready": ok, "Rejected": failed, "*": inProgress}))
	veleroVolume = judge(word("status.phase", words{"Completed": ok, "Failed": failed, "Canceled": failed, "*": inProgress}))
	astraTask    = judge(word("status.state", words{"Completed": ok, "Running": inProgress, "*": failed}))
)

func rookGroup(kind string) check {
	switch kind {
	case "CephBucketNotification", "CephCOSIDriver": // they have no status
		return exists
	}
	return rook
}

func snapshotReady(obj map[string]any) (model.HealthFacet, bool) {
	if boolean(obj, "status", "readyToUse") {
		return say(ok, "")
	}
	if e, _ := at(obj, "status", "error").(map[string]any); e != nil {
		return say(failed, str(e, "message"))
	}
	return nothing()
}

// longhornVolume: the robustness of a volume that nobody uses is not known, and
// need not be.
func longhornVolume(obj map[string]any) (model.HealthFacet, bool) {
	robustness := str(obj, "status", "robustness")
	switch state := str(obj, "status", "state"); {
	case robustness == "faulted":
		return say(failed, "the volume has no healthy replica")
	case robustness == "degraded":
		return say(failed, "some replicas of the volume are not healthy")
	case state == "detached", state == "attached" && robustness == "healthy":
		return say(ok, "")
	case state != "":
		return say(inProgress, state)
	}
	return nothing()
}

// cephHealth: what Ceph says of itself comes before what Rook did last. A
// warning is worth a look.
func cephHealth(obj map[string]any) (model.HealthFacet, bool) {
	h := str(obj, "status", "ceph", "health")
	switch h {
	case "HEALTH_WARN", "HEALTH_ERR":
		details, _ := at(obj, "status", "ceph", "details").(map[string]any)
		var what []string
		for _, name := range sortedKeys(details) {
			d, _ := details[name].(map[string]any)
			if m := str(d, "message"); m != "" {
				what = append(what, m)
			}
		}
		if len(what) == 0 {
			return say(failed, h)
		}
		return say(failed, h+": "+strings.Join(what, "; "))
	case "":
		return say(inProgress, explained(obj, "the health of Ceph is not known yet"))
	}
	return nothing()
}
