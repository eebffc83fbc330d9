package kube

import (
	"bytes"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func newSecret() Object    { return &corev1.Secret{} }
func newConfigMap() Object { return &corev1.ConfigMap{} }

// CAKey is the key of a Secret or ConfigMap under which certificates that are trusted stand.
const CAKey = "ca.crt"

// keptKeys are the keys of a Secret that matter. The rest of a Secret is not kept, so that nothing is in memory that is not
// needed, and that a change of the rest is none.
var keptKeys = []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey, CAKey}

// trimSecret keeps what certificates are made of. A Secret from a file may have stringData, which an API server moves to
// data.
func trimSecret(in *corev1.Secret) *corev1.Secret {
	out := &corev1.Secret{ObjectMeta: trimMeta(&in.ObjectMeta), Type: in.Type}
	for _, k := range keptKeys {
		v, ok := in.Data[k]
		if text, has := in.StringData[k]; has {
			v, ok = []byte(text), true
		}
		if !ok {
			continue
		}
		if out.Data == nil {
			out.Data = map[string][]byte{}
		}
		out.Data[k] = v
	}
	return out
}

func trimConfigMap(in *corev1.ConfigMap) *corev1.ConfigMap {
	out := &corev1.ConfigMap{ObjectMeta: trimMeta(&in.ObjectMeta)}
	if v, ok := in.Data[CAKey]; ok {
		out.Data = map[string]string{CAKey: v}
	}
	return out
}

func trimMeta(in *metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: in.Namespace, Name: in.Name, UID: in.UID, ResourceVersion: in.ResourceVersion,
		Generation: in.Generation, CreationTimestamp: in.CreationTimestamp,
	}
}

func compareSecret(old, now *corev1.Secret) difference {
	return differWhen(old.Type != now.Type || !maps.EqualFunc(old.Data, now.Data, bytes.Equal))
}

func compareConfigMap(old, now *corev1.ConfigMap) difference {
	return differWhen(!maps.Equal(old.Data, now.Data))
}
