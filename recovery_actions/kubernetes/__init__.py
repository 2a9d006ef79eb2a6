"""What the Kubernetes actions and the watch share: a client for raw objects, and their meaning.

names        which workload; the only texts that may become a part of a URL
connection   the kubeconfig, or the pod's service account
client       requests with deadlines and typed errors; objects are plain dicts, so that no
             field is lost that this program has never heard of
objects      small questions to an object
revisions    which ReplicaSet or ControllerRevision is live, and which were before
rollout      whether a rollout is finished, as `kubectl rollout status` decides it
guards       why a workload must not be touched
patches      the patches, each with its precondition
applying     patches at the moment of acting
ownership    whose fields are whose, and how they are given back after a rollback
rollback_request  what a rollback asked for, and whether it still stands
waiting      follows a rollout to its end, and a little further
blocked      what holds a rollout up, and the pods that keep a StatefulSet from going back
showing      what stands there, for people
watch        sees the changes of a workload
"""
