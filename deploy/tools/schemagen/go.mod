module headgate.dev/deploy/tools/schemagen

go 1.27.0

toolchain go1.27.4

require go.yaml.in/yaml/v3 v3.0.6
