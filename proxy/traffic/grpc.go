package traffic

import (
	"fmt"
	"strings"

	"headgate.dev/proxy/model"
)

const (
	grpcType = "application/grpc"
	// anyService is the begin of the path expression that stands for every service.
	anyService = "/[^/]+/"
)

// isGRPC tells whether a content type is one of gRPC, with or without the name of an encoding behind a plus sign.
func isGRPC(contentType string) bool {
	rest, ok := strings.CutPrefix(contentType, grpcType)
	return ok && (rest == "" || rest[0] == '+')
}

// GRPCStatus is what a gRPC client is told where others get an HTTP status: the proxy answers 200 with this code.
func GRPCStatus(status int) (code int, name string) {
	switch status {
	case 400:
		return 13, "INTERNAL"
	case 401:
		return 16, "UNAUTHENTICATED"
	case 403:
		return 7, "PERMISSION_DENIED"
	case 404:
		return 12, "UNIMPLEMENTED"
	case 429, 502, 503, 504:
		return 14, "UNAVAILABLE"
	}
	return 2, "UNKNOWN"
}

// statusText is a status as rows have it.
func statusText(status int, grpc bool) string {
	if !grpc {
		return fmt.Sprint(status)
	}
	_, name := GRPCStatus(status)
	return name
}

// grpcRequest writes the match of a gRPC route as service specs do: "pkg.Service/Method", "pkg.Service/*", "*/Method".
func grpcRequest(m *model.Match) string {
	path := strings.TrimPrefix(m.Path, "/")
	switch {
	case m.PathKind == model.PathExact:
		return path
	case m.PathKind == model.PathRegex:
		if method, ok := strings.CutPrefix(m.Path, anyService); ok && !strings.ContainsAny(method, `\.+*?()|[]{}^$/`) {
			return "*/" + method
		}
		return "~" + m.Path
	case path == "":
		return "*/*"
	default:
		return path + "/*"
	}
}
