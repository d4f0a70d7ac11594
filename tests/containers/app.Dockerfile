# The test app in the ways in which people put portshim into an image; the context is the published app.
ARG BASE
ARG PORTSHIM
FROM ${PORTSHIM} AS portshim

# As an image that knows nothing of portshim.
FROM ${BASE} AS plain
WORKDIR /app
COPY . .
USER $APP_UID
ENTRYPOINT ["dotnet", "aspnetapp.dll"]

# By the ENTRYPOINT.
FROM plain AS shimmed
COPY --from=portshim /portshim /portshim
ENTRYPOINT ["/portshim", "--", "dotnet", "aspnetapp.dll"]

# By the ENTRYPOINT, with the app in CMD.
FROM plain AS command
COPY --from=portshim /portshim /portshim
ENTRYPOINT ["/portshim", "--"]
CMD ["dotnet", "aspnetapp.dll"]

# By the ENTRYPOINT of the base.
FROM ${BASE} AS inherited
WORKDIR /app
COPY . .
USER $APP_UID
CMD ["dotnet", "aspnetapp.dll"]
