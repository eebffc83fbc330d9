-- Takes the port from the authority, for redirects that keep the host of the request.
function envoy_on_request(handle)
  local headers = handle:headers()
  local host = (headers:get(":authority") or ""):gsub(":%d+$", "")
  headers:replace(":authority", host)
end
