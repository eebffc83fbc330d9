package fleet

import (
	"crypto/sha1" //nolint:gosec // GEP-1762 asks for it; nothing is kept secret by it
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"headgate.dev/proxy/model"
)

const (
	// maxName is what a Service, and a label's value, may be called at most (RFC 1035).
	maxName = 63
	// digestLength is the number of hexadecimal digits behind a name that is not a Gateway's and its class's as they are.
	digestLength = 10
	// labelPrefix is how much GEP-1762 keeps of a name that is too long for a label.
	labelPrefix = 20
)

var (
	digested = regexp.MustCompile(`-[0-9a-f]{10}$`)
	service  = regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`)
	notLabel = regexp.MustCompile(`[^-a-z0-9]+`)
)

// Name is the name of every object of a fleet: GATEWAY-CLASS, as GEP-1762 has it. Where that is too long for a Service or is
// no name for one, or looks like a name with a digest, it is shortened and ends in a digest of both names.
func Name(gateway, class string) string {
	name := gateway + "-" + class
	if len(name) <= maxName && service.MatchString(name) && !digested.MatchString(name) {
		return name
	}
	sum := sha256.Sum256([]byte(gateway + "/" + class))
	text := notLabel.ReplaceAllString(name, "-")
	if text[0] < 'a' || text[0] > 'z' {
		text = "gateway-" + text
	}
	text = strings.TrimRight(text[:min(len(text), maxName-digestLength-1)], "-")
	return text + "-" + hex.EncodeToString(sum[:])[:digestLength]
}

// labelValue is a name as the value of a label. One that is too long becomes its first 20 characters and the SHA-1 of the
// others, as GEP-1762 demands.
func labelValue(name string) string {
	if len(name) <= maxName {
		return name
	}
	sum := sha1.Sum([]byte(name[labelPrefix:])) //nolint:gosec // GEP-1762 asks for it; nothing is kept secret by it
	return name[:labelPrefix] + "-" + hex.EncodeToString(sum[:])
}

// The labels and annotations of every object of a fleet.
const (
	// GatewayLabel has the Gateway's name, shortened where it is too long (GEP-1762).
	GatewayLabel = "gateway.networking.k8s.io/gateway-name"
	// ClassLabel has the name of the Gateway's class, shortened likewise.
	ClassLabel = "gateway.networking.k8s.io/gateway-class-name"
	// GatewayAnnotation has the Gateway's name as it is.
	GatewayAnnotation = "headgate.dev/gateway"
	// ABIAnnotation has the ABI that a Deployment, or a pod, was made for.
	ABIAnnotation = "headgate.dev/proxy-abi"
	// ImageAnnotation, on a Deployment, has the controller's image that the fleet was made with, whether it runs or an image
	// of the config does.
	ImageAnnotation = "headgate.dev/proxy-image"

	nameLabel     = "app.kubernetes.io/name"
	instanceLabel = "app.kubernetes.io/instance"
	// AppName is the value of the label app.kubernetes.io/name on every object of a fleet.
	AppName = "headgate-proxy"
)

// selector picks the pods of a fleet; the selector of a Deployment can never change.
func selector(g *Gateway) map[string]string {
	return map[string]string{
		nameLabel:     AppName,
		instanceLabel: Name(g.Name.Name, g.Class),
		GatewayLabel:  labelValue(g.Name.Name),
	}
}

// Ref names an object of a fleet.
type Ref struct {
	APIVersion, Kind string
	model.Name
}
