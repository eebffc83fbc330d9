-- Runs only where the scope key found no route: exact hosts switch it off in their RouteConfiguration.
function envoy_on_request(handle)
  local info = handle:streamInfo()
  if info:routeName() ~= "" then return end
  local headers = handle:headers()
  local authority = headers:get(":authority") or ""
  local table_id = (headers:get("x-hg-scope") or ""):match("^(.*)/") or ""
  local host = authority:lower():gsub(":%d+$", ""):gsub("%.$", "")
  if host ~= authority then
    headers:replace("x-hg-scope", table_id .. "/" .. host)
    handle:clearRouteCache()
    handle:metadata() -- looks the route up again, the first time it is called
    if info:routeName() ~= "" then return end
  end
  headers:replace("x-hg-scope", table_id .. "/*")
  handle:clearRouteCache()
end
